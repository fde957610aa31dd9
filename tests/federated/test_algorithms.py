"""What holds for every algorithm of the table, and what each promises of itself."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest
import torch

from fedmed.errors import UserError
from fedmed.federated import channel as channel_module
from fedmed.federated.algorithm import Algorithm
from fedmed.federated.algorithms import ALGORITHMS
from fedmed.federated.algorithms.fedadam import FedAdam
from fedmed.federated.algorithms.fedavg import FedAvg
from fedmed.federated.algorithms.fedprox import FedProx
from fedmed.federated.channel import Channel
from fedmed.federated.messages import layout_of
from fedmed.federated.rounds import federate
from fedmed.federated.state import State
from fedmed.federated.transforms import FORMATS
from fedmed.training.heads import Heads, stack, unstack
from fedmed.training.local_training import train
from fedmed.training.tensors import Tensors, group, pick, repeat
from tests.support.sites import OPTIMISATION, CloudSite, accuracy, iid, skewed, zero_head

EVERY = pytest.mark.parametrize("name", ALGORITHMS)
# One hospital alone is trained as if there were no federation, in rounds.
AS_CENTRAL: list[Algorithm] = [FedAvg(), FedProx(mu=0.0)]


def run(sites, algorithm: Algorithm, format: str = "fp32", rounds: int = 3, **more) -> State:
    options = {"local_epochs": 2, "optimisation": OPTIMISATION, "seed": 42} | more
    width = sites[0].features.shape[1]
    return federate(
        sites,
        algorithm=algorithm,
        model=zero_head(width),
        rounds=rounds,
        channel=Channel.of(format),
        **options,
    )


def equal(a: Tensors, b: Tensors) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def apart(a: Tensors, b: Tensors) -> float:
    assert a.keys() == b.keys()
    return max(float((a[name] - b[name]).abs().max()) for name in a)


@EVERY
def test_the_table_names_it_and_its_paper(name: str) -> None:
    kind = ALGORITHMS[name]
    assert kind.name == name and kind().name == name
    assert "arXiv:" in (inspect.getdoc(kind) or "")


@EVERY
@pytest.mark.parametrize("format", FORMATS)
def test_resumed_from_the_file_after_any_round_it_ends_with_the_same_bits(
    name: str, format: str, tmp_path: Path
) -> None:
    path = tmp_path / "state.safetensors"
    algorithm = ALGORITHMS[name]()
    whole = run(skewed(), algorithm, format, rounds=4)
    for stop in range(5):
        run(skewed(), algorithm, format, rounds=stop).save(path)
        resumed = run(skewed(), algorithm, format, rounds=4, state=State.load(path))
        for part in ("server", "own", "held", "kept", "models"):
            assert equal(getattr(whole, part), getattr(resumed, part)), (stop, part)
        assert (resumed.round, resumed.ledger) == (4, whole.ledger)


@EVERY
@pytest.mark.parametrize("format", FORMATS)
def test_every_byte_is_counted(name: str, format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[list[bytes]] = []
    encode = channel_module.encode

    def listening(tensors, count):
        sent.append(encode(tensors, count))
        return sent[-1]

    monkeypatch.setattr(channel_module, "encode", listening)
    ledger = run(iid()[:2], ALGORITHMS[name](), format).ledger
    names = ["hospital_1", "hospital_2"]
    sizes = [[len(message) for message in messages] for messages in sent]
    assert len(sizes) == 6, "down and up, three times"
    assert ledger.down == [dict.fromkeys(names, size) for (size,) in sizes[::2]]
    assert ledger.up == [dict(zip(names, both, strict=True)) for both in sizes[1::2]]


@EVERY
def test_the_order_of_the_hospitals_has_no_effect(name: str) -> None:
    one = run(skewed(), ALGORITHMS[name]())
    other = run(skewed()[::-1], ALGORITHMS[name]())
    assert apart(one.model, other.model) < 1e-6
    back = {key: tensor.flip(0) for key, tensor in other.own.items()}
    assert apart(one.own, back) < 1e-6
    assert one.ledger.up == other.ledger.up


@EVERY
def test_a_hospital_in_a_call_of_its_own_sends_the_same(name: str) -> None:
    """As real hospitals do, each on a machine of its own."""
    algorithm, sites = ALGORITHMS[name](), skewed()
    heard: list[tuple[Tensors, Tensors]] = []

    class Apart(type(algorithm)):  # type: ignore[misc]
        def local(self, received, own, sites, now):
            together = super().local(received, own, sites, now)
            for h, site in enumerate(sites):
                mine = {key: tensor[h : h + 1] for key, tensor in own.items()}
                alone = super().local(received, mine, [site], now)
                assert apart(alone[0], repeat(pick(together[0], h), 1)) < 1e-6
                assert apart(alone[1], repeat(pick(together[1], h), 1)) < 1e-6
                heard.append(alone)
            return together

    run(sites, Apart(), rounds=2)
    assert len(heard) == 2 * len(sites)


@EVERY
def test_what_is_sent_is_what_the_server_expects(name: str) -> None:
    algorithm = ALGORITHMS[name]()
    layouts = []

    class Listening(type(algorithm)):  # type: ignore[misc]
        def aggregate(self, server, sent, samples, now):
            layouts.append((layout_of(pick(sent, 0)), self.expected(server)))
            return super().aggregate(server, sent, samples, now)

    run(iid(), Listening(), rounds=2)
    assert all(sent == expected for sent, expected in layouts)


@EVERY
@pytest.mark.parametrize("width", [3, 1024])
def test_features_of_any_width_will_do(name: str, width: int) -> None:
    state = run(skewed(width), ALGORITHMS[name](), "int8")
    assert state.model["weight"].shape == (2, width)
    assert accuracy(state.model) > 0.7


@EVERY
def test_where_a_mean_is_enough_a_mean_will_do(name: str) -> None:
    algorithm = ALGORITHMS[name]()
    if not algorithm.additive:
        pytest.skip("it needs every message")
    state = run(skewed(), algorithm, rounds=1)
    generator = torch.Generator().manual_seed(1)
    sent = {
        key: torch.randn(5, *tensor.shape, generator=generator)
        for key, tensor in state.model.items()
    }
    samples = torch.tensor([7, 1, 20, 3, 100])
    share = samples / samples.sum()
    mean = {key: torch.einsum("h,h...->...", share, tensor)[None] for key, tensor in sent.items()}
    now = None  # no algorithm of the table asks for it
    every = algorithm.aggregate(state.server, sent, samples, now)  # type: ignore[arg-type]
    one = algorithm.aggregate(state.server, mean, samples.sum()[None], now)  # type: ignore[arg-type]
    assert apart(every, one) < 1e-6


@EVERY
def test_it_learns(name: str) -> None:
    assert accuracy(run(skewed(), ALGORITHMS[name](), rounds=5).model) > 0.8


@EVERY
def test_a_diverged_hospital_stops_it_with_advice(name: str) -> None:
    sites = iid()
    sites[2].features[0, 0] = torch.nan
    with pytest.raises(UserError, match="--learning-rate"):
        run(sites, ALGORITHMS[name]())


@EVERY
def test_what_it_says_of_the_hospitals_is_their_own_training(name: str) -> None:
    """The own model of a hospital is what its training made of the broadcast."""
    algorithm, sites = ALGORITHMS[name](), skewed()
    before, after = (run(sites, algorithm, rounds=number) for number in (2, 3))
    own = Heads.of(algorithm.model(after.own))
    assert len(own.weight) == len(sites)
    assert all(
        not torch.equal(head.weight[0], before.model["weight"]) and accuracy(head) > 0.4
        for head in unstack(own)
    )


@pytest.mark.parametrize("algorithm", AS_CENTRAL, ids=lambda algorithm: algorithm.name)
def test_one_hospital_is_central_training(algorithm: Algorithm) -> None:
    site = CloudSite("hospital_1", 150, 250)
    central = Heads.of(zero_head())
    for number in range(3):  # Adam starts afresh in every round
        epochs = range(2 * number, 2 * number + 2)
        central = train(central, [site], epochs, OPTIMISATION, seed=42)
    assert apart(run([site], algorithm).model, pick(central.tensors(), 0)) < 1e-6


def test_fedprox_without_a_pull_is_fedavg_to_the_bit() -> None:
    assert equal(run(skewed(), FedProx(mu=0.0)).models, run(skewed(), FedAvg()).models)


def test_fedprox_holds_hospitals_near_the_global_model_the_more_it_pulls() -> None:
    drifts = []
    for mu in (0.0, 0.1, 1.0, 100.0):
        state = run(skewed(), FedProx(mu=mu), rounds=1, local_epochs=5)
        drifts.append(float(group(state.own, "model")["weight"].norm(dim=(1, 2)).mean()))
    assert drifts == sorted(drifts, reverse=True)
    assert drifts[-1] < drifts[0] / 10


def test_fedprox_follows_the_gradient_of_its_loss() -> None:
    """Against autograd on the loss as the paper writes it."""
    site = CloudSite("hospital_1", 20, 12, width=4)
    start = Heads(torch.full((1, 2, 4), 0.3), torch.tensor([[0.1, -0.2]]))
    linear = torch.nn.Linear(4, 2)
    linear.load_state_dict({"weight": start.weight[0].clone(), "bias": start.bias[0].clone()})
    adam = torch.optim.Adam(linear.parameters(), lr=OPTIMISATION.learning_rate)
    for _ in range(6):
        adam.zero_grad()
        loss = torch.nn.functional.cross_entropy(linear(site.features), site.labels)
        distance = (linear.weight - start.weight[0]).square().sum()
        distance = distance + (linear.bias - start.bias[0]).square().sum()
        (loss + 0.7 / 2 * distance).backward()
        adam.step()
    pull = FedProx(mu=0.7).gradient(pick(start.tensors(), 0))
    head = train(start, [site], range(6), OPTIMISATION, seed=1, gradient=pull)
    assert apart(pick(head.tensors(), 0), dict(linear.state_dict())) < 1e-6


def test_fedadam_is_the_papers_step_on_the_mean_updates() -> None:
    """Its server in NumPy, float64, fed with what the server got."""
    sites, updates = skewed(), []

    class Listening(FedAdam):
        def aggregate(self, server, sent, samples, now):
            updates.append({name: tensor.double().numpy() for name, tensor in sent.items()})
            return super().aggregate(server, sent, samples, now)

    state = run(sites, Listening(learning_rate=0.03, beta1=0.8, beta2=0.95, tau=1e-2), rounds=4)
    counts = [len(site.labels) for site in sites]
    for name, shape in (("weight", (2, 512)), ("bias", (2,))):
        x, m, v = np.zeros(shape), np.zeros(shape), np.full(shape, 1e-4)
        for sent in updates:
            delta = np.average(sent[name], axis=0, weights=counts)
            m = 0.8 * m + 0.2 * delta
            v = 0.95 * v + 0.05 * delta**2
            x = x + 0.03 * m / (np.sqrt(v) + 1e-2)
        assert np.allclose(state.server[f"model/{name}"].numpy(), x, atol=1e-7)
        assert np.allclose(state.server[f"mean/{name}"].numpy(), m, atol=1e-7)
        assert np.allclose(state.server[f"square/{name}"].numpy(), v, atol=1e-9)


def test_one_round_of_fedavg_is_the_weighted_mean_of_local_training() -> None:
    sites = skewed()
    state = run(sites, FedAvg(), rounds=1)
    start = [Heads.of(zero_head())]
    alone = stack([train(start[0], [s], range(2), OPTIMISATION, seed=42) for s in sites])
    counts = [len(site.labels) for site in sites]
    for name, tensor in alone.tensors().items():
        mean = np.average(tensor.double().numpy(), axis=0, weights=counts)
        assert np.allclose(state.model[name].numpy(), mean, atol=1e-6)


def test_a_network_of_many_tensors_is_averaged_as_a_head_is() -> None:
    """Another trainer, another model: the algorithms do not see the difference."""
    shapes = {"conv.weight": (4, 1, 3, 3), "bn.mean": (4,), "bn.count": (), "fc.weight": (2, 4)}
    model = {name: torch.zeros(shape) for name, shape in shapes.items()}

    def trainer(start, sites, epochs, optimisation, *, seed, gradient=None):
        """Moves hospital h's network by h + 1, whatever the gradient."""
        towards = torch.arange(1.0, len(sites) + 1)
        return {n: t + towards.reshape(-1, *[1] * (t.ndim - 1)) for n, t in start.items()}

    for kind in ALGORITHMS.values():
        for format in FORMATS:
            state = federate(
                iid(),
                algorithm=kind(),
                model=model,
                rounds=2,
                local_epochs=1,
                channel=Channel.of(format),
                trainer=trainer,
                seed=0,
            )
            assert {n: (*t.shape,) for n, t in state.model.items()} == shapes
            if kind is not FedAdam:
                assert all(torch.allclose(t, torch.tensor(6.0)) for t in state.model.values())

"""What holds for every algorithm of the table, and what each promises of itself."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import torch

from fedmed.errors import UserError
from fedmed.federated import channel as channel_module
from fedmed.federated.algorithms import ALGORITHMS
from fedmed.federated.algorithms.scaffold import Scaffold
from fedmed.federated.channel import Channel
from fedmed.federated.messages import layout_of
from fedmed.federated.rounds import federate
from fedmed.federated.state import State
from fedmed.federated.transforms import FORMATS
from fedmed.training.heads import Heads, unstack
from fedmed.training.tensors import Tensors, pick, repeat, weighted_mean
from tests.support.federations import apart, run
from tests.support.sites import accuracy, iid, skewed

EVERY = pytest.mark.parametrize("name", ALGORITHMS)


def equal(a: Tensors, b: Tensors) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@EVERY
def test_the_table_names_it_and_its_paper(name: str) -> None:
    kind = ALGORITHMS[name]
    assert kind.name == name and kind().name == name
    assert "arXiv:" in (inspect.getdoc(kind) or "")


@pytest.mark.slow
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
        assert (resumed.round, resumed.ledger) == (whole.round, whole.ledger)


@EVERY
@pytest.mark.parametrize("format", FORMATS)
def test_every_byte_is_counted(name: str, format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[list[bytes]] = []
    encode = channel_module.encode

    def listening(tensors, count):
        sent.append(encode(tensors, count))
        return sent[-1]

    monkeypatch.setattr(channel_module, "encode", listening)
    state = run(iid()[:3], ALGORITHMS[name](), format)
    ledger = state.ledger
    names = ["hospital_1", "hospital_2", "hospital_3"]
    sizes = [[len(message) for message in messages] for messages in sent]
    assert len(sizes) == 2 * state.round, "down and up in every round"
    assert ledger.down == [dict.fromkeys(names, size) for (size,) in sizes[::2]]
    assert ledger.up == [dict(zip(names, all_, strict=True)) for all_ in sizes[1::2]]


@pytest.mark.slow
@EVERY
def test_the_order_of_the_hospitals_has_no_effect(name: str) -> None:
    one = run(skewed(), ALGORITHMS[name]())
    other = run(skewed()[::-1], ALGORITHMS[name]())
    assert apart(one.model, other.model) < 1e-6
    back = {key: tensor.flip(0) for key, tensor in other.own.items()}
    assert apart(one.own, back) < 1e-6
    assert one.ledger.up == other.ledger.up


@pytest.mark.slow
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
    assert len(heard) == min(2, algorithm.most_rounds or 2) * len(sites)


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
    heard = []

    class Listening(type(algorithm)):  # type: ignore[misc]
        def aggregate(self, server, sent, samples, now):
            heard.append((server, sent, samples))
            return super().aggregate(server, sent, samples, now)

    run(skewed(), Listening(), rounds=1)
    ((server, sent, samples),) = heard
    mean = weighted_mean(sent, samples)
    now = None  # no algorithm of the table asks for it
    every = algorithm.aggregate(server, sent, samples, now)  # type: ignore[arg-type]
    one = algorithm.aggregate(server, mean, samples.sum()[None], now)  # type: ignore[arg-type]
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


@pytest.mark.slow
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


def test_a_network_of_many_tensors_is_averaged_as_a_head_is() -> None:
    """Another trainer, another model: the algorithms do not see the difference."""
    shapes = {"conv.weight": (4, 1, 3, 3), "bn.mean": (4,), "bn.count": (), "fc.weight": (2, 4)}
    model = {name: torch.zeros(shape) for name, shape in shapes.items()}

    def trainer(start, sites, epochs, optimisation, *, seed, gradient=None):
        """Moves hospital h's network by h + 1, whatever the gradient."""
        towards = torch.arange(1.0, len(sites) + 1)
        return {n: t + towards.reshape(-1, *[1] * (t.ndim - 1)) for n, t in start.items()}

    for kind in ALGORITHMS.values():
        if kind.needs_features:
            with pytest.raises(UserError, match="whole networks"):
                federate(
                    iid(), algorithm=kind(), model=model, rounds=1, local_epochs=1,
                    trainer=trainer, seed=0,
                )  # fmt: skip
            continue
        for format in FORMATS:
            state = federate(
                iid(),
                algorithm=Scaffold(local_step=0.01) if kind is Scaffold else kind(),
                model=model,
                rounds=2,
                local_epochs=1,
                channel=Channel.of(format),
                trainer=trainer,
                seed=0,
            )
            assert {n: (*t.shape,) for n, t in state.model.items()} == shapes
            if kind.name in {"fedavg", "fedprox", "scaffold", "median", "trimmed-mean"}:
                assert all(torch.allclose(t, torch.tensor(6.0)) for t in state.model.values())

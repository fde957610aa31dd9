from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from fedmed.errors import UserError
from fedmed.federated import rounds as federated_rounds
from fedmed.federated.algorithm import Algorithm
from fedmed.federated.algorithms.fedavg import FedAvg
from fedmed.federated.ledger import Ledger
from fedmed.federated.messages import FORMATS
from fedmed.federated.rounds import federate
from fedmed.federated.state import State
from fedmed.training.heads import Heads, new_heads, probabilities, stack
from fedmed.training.local_training import train
from fedmed.training.optimizer import Optimisation

DIRECTION = torch.randn(512, generator=torch.Generator().manual_seed(0)) / 512**0.5
SETTINGS = Optimisation(learning_rate=3e-3, batch_size=32)


@dataclass
class GaussianSite:
    """Two clouds 3 standard deviations apart: the best possible accuracy is 93 %."""

    name: str
    normal: int
    pneumonia: int

    def __post_init__(self) -> None:
        self.asked: list[int] = []
        self.labels = torch.tensor([0] * self.normal + [1] * self.pneumonia)
        generator = torch.Generator().manual_seed(sum(map(ord, self.name)))
        noise = torch.randn(len(self.labels), 512, generator=generator)
        self.features = noise + 3 * (self.labels[:, None] - 0.5) * DIRECTION

    def epoch(self, number: int) -> Tensor:
        self.asked.append(number)
        return self.features


def iid() -> list[GaussianSite]:
    return [GaussianSite(f"hospital_{i}", 150, 150) for i in range(1, 6)]


def skewed() -> list[GaussianSite]:
    mixes = [(15, 400), (30, 200), (60, 100), (120, 50), (240, 25)]
    return [GaussianSite(f"hospital_{i}", *mix) for i, mix in enumerate(mixes, 1)]


def run(sites, **options) -> State:
    options = {"rounds": 5, "local_epochs": 3, "settings": SETTINGS, "seed": 42} | options
    return federate(sites, **{"algorithm": FedAvg(), **options})


def accuracy(head: Heads) -> float:
    unseen = GaussianSite("unseen", 2000, 2000)
    called = probabilities(head, unseen.features)[0] > 0.5
    return float((called == unseen.labels.bool()).float().mean())


def same_bits(a: Heads, b: Heads) -> bool:
    return all(map(torch.equal, a, b))


def everything(state: State) -> list[Heads]:
    return [state.global_head, state.shared, state.local]


def pooled(sites) -> GaussianSite:
    everyone = GaussianSite("everyone", 0, 0)
    everyone.labels = torch.cat([site.labels for site in sites])
    everyone.features = torch.cat([site.features for site in sites])
    return everyone


@pytest.mark.parametrize("sites", [iid(), skewed()], ids=["iid", "label-skew"])
def test_the_federated_head_comes_close_to_the_centralized_one(sites):
    central = train(new_heads(1), [pooled(sites)], range(15), SETTINGS, seed=42)
    state = run(sites)
    assert accuracy(central) > 0.8
    assert accuracy(state.global_head) > accuracy(central) - 0.02


def test_under_label_skew_the_federated_head_beats_most_local_ones():
    state = run(skewed())
    local = [accuracy(Heads(w[None], b[None])) for w, b in zip(*state.local, strict=True)]
    assert accuracy(state.global_head) > sorted(local)[-2]


def test_one_round_is_the_weighted_mean_of_local_training():
    sites = skewed()
    state = run(sites, rounds=1)
    alone = stack([train(new_heads(1), [site], range(3), SETTINGS, seed=42) for site in sites])
    share = torch.tensor([len(site.labels) for site in sites]) / sum(len(s.labels) for s in sites)
    assert torch.allclose(state.local.weight, alone.weight, atol=1e-6)
    mean = (share[:, None, None] * alone.weight).sum(0, keepdim=True)
    assert torch.allclose(state.global_head.weight, mean, atol=1e-6)
    assert torch.allclose(state.global_head.bias, (share[:, None] * alone.bias).sum(0), atol=1e-6)


def test_a_round_starts_from_the_global_head_of_the_one_before():
    sites = iid()
    first = run(sites, rounds=1)
    second = run(sites, rounds=2)
    start = stack([first.global_head] * 5)
    expected = train(start, sites, range(3, 6), SETTINGS, seed=42)
    assert torch.allclose(second.local.weight, expected.weight, atol=1e-6)
    assert torch.allclose(second.shared.weight, first.global_head.weight, atol=1e-7)


@pytest.mark.parametrize("format", ["fp16", "int8"])
def test_a_quantized_federation_stays_close(format):
    exact, rounded = run(skewed()), run(skewed(), format=format)
    assert abs(accuracy(exact.global_head) - accuracy(rounded.global_head)) < 0.005
    error = (exact.global_head.weight - rounded.global_head.weight).abs().max()
    assert 0 < error < 0.02 * exact.global_head.weight.abs().max()


class Idle(Algorithm):
    """Trains nothing and moves the global head once, so that only the way down is left."""

    def __init__(self) -> None:
        self.moves = [torch.linspace(-1, 3, 1024).reshape(1, 2, 512)]

    def train(self, shared, sites, epochs, settings, *, seed):
        return stack([shared] * len(sites))

    def aggregate(self, updates, samples):
        move = self.moves.pop() if self.moves else torch.zeros(1, 2, 512)
        return Heads(move, torch.zeros(1, 2))


def test_what_quantization_loses_on_the_way_down_is_sent_again():
    seen: list[State] = []
    idle = Idle()
    target = idle.moves[0]
    run(iid(), algorithm=idle, format="int8", rounds=5, on_round=seen.append)
    errors = [float((state.shared.weight - target).abs().max()) for state in seen[1:]]
    assert errors[0] > 1e-3
    assert errors[1] < errors[0] / 50
    assert errors[2] < errors[1] / 50


def test_bytes_in_the_ledger_are_the_bytes_sent(monkeypatch):
    sent = []

    def listening(update, format):
        data = encode(update, format)
        sent.append(len(data))
        return data

    encode = federated_rounds.encode
    monkeypatch.setattr(federated_rounds, "encode", listening)
    sites = iid()[:2]
    ledger = run(sites, rounds=3, format="int8").ledger
    rounds = [sent[i : i + 3] for i in range(0, len(sent), 3)]
    names = ["hospital_1", "hospital_2"]
    assert ledger.down == [dict.fromkeys(names, down) for down, *_ in rounds]
    assert ledger.up == [dict(zip(names, up, strict=True)) for _, *up in rounds]


def test_the_server_sees_only_decoded_bytes(monkeypatch):
    """Where the wire delivers zeros, nothing of local training reaches the global head."""
    monkeypatch.setattr(federated_rounds, "decode", lambda data: new_heads(1))
    state = run(iid(), rounds=2)
    assert not state.global_head.weight.any() and not state.shared.weight.any()
    assert state.local.weight.any()


def test_epochs_are_numbered_through_all_rounds():
    sites = iid()
    run(sites, rounds=3, local_epochs=2)
    assert sites[0].asked == [0, 1, 2, 3, 4, 5]


def test_another_aggregation_plugs_in():
    class Median(Algorithm):
        def aggregate(self, updates: Heads, samples: Tensor) -> Heads:
            return Heads(*(part.median(0, keepdim=True).values for part in updates))

    assert accuracy(run(iid(), algorithm=Median()).global_head) > 0.8


@pytest.mark.parametrize("format", FORMATS)
def test_a_run_resumed_after_any_round_ends_with_the_same_bits(tmp_path, format):
    path = tmp_path / "state.safetensors"
    whole = run(skewed(), rounds=4, format=format)
    for stop in range(5):
        run(skewed(), rounds=stop, format=format).save(path)
        resumed = run(skewed(), rounds=4, format=format, state=State.load(path))
        assert all(map(same_bits, everything(whole), everything(resumed)))
        assert (resumed.round, resumed.ledger) == (4, whole.ledger)


def test_on_round_sees_every_round():
    seen: list[State] = []
    final = run(iid(), rounds=3, on_round=seen.append)
    assert [state.round for state in seen] == [1, 2, 3]
    assert [len(state.ledger.up) for state in seen] == [1, 2, 3]
    assert seen[-1] is final


def test_saving_replaces_the_file_whole_and_leaves_nothing_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "state.safetensors"
    run(iid(), rounds=1).save(path)
    before = path.read_bytes()

    def fail(*paths):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        run(iid(), rounds=2).save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["state.safetensors"]


def test_the_ledger_of_many_hospitals_does_not_fill_the_header(tmp_path):
    """safetensors reads no header above 100 MB."""
    path = tmp_path / "state.safetensors"
    entry = {f"hospital_{number}": 4232 for number in range(1000)}
    ledger = Ledger([entry] * 20, [entry] * 20)
    State(new_heads(20), new_heads(1), new_heads(1000), ledger).save(path)
    assert int.from_bytes(path.read_bytes()[:8], "little") < 1000
    assert State.load(path).ledger == ledger


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "other"])
def test_a_damaged_state_is_refused_by_name(tmp_path, damage):
    from safetensors.torch import save_file

    path = tmp_path / "state.safetensors"
    if damage == "empty":
        path.touch()
    elif damage == "truncated":
        run(iid(), rounds=1).save(path)
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "other":
        save_file({"fc.weight": torch.zeros(2, 512)}, path)
    with pytest.raises(UserError, match=r"state\.safetensors.*--resume"):
        State.load(path)


@pytest.mark.parametrize("place", [-5000, -3000, -1])
def test_one_flipped_bit_is_noticed(tmp_path, place):
    path = tmp_path / "state.safetensors"
    run(iid(), rounds=2).save(path)
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"state\.safetensors.*--resume"):
        State.load(path)


def test_tensors_of_other_shapes_are_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    path = tmp_path / "state.safetensors"
    run(iid(), rounds=1).save(path)
    save_file(load_file(path) | {"shared.weight": torch.zeros(1, 2, 100)}, path)
    with pytest.raises(UserError, match=r"state\.safetensors.*--resume"):
        State.load(path)


def test_a_diverged_hospital_stops_the_run_with_advice():
    sites = iid()
    sites[2].features[0, 0] = torch.nan
    with pytest.raises(UserError, match="--learning-rate"):
        run(sites, rounds=1)

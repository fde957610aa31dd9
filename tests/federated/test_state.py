"""What a federation is after some rounds, saved and read to the same bits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from fedmed.errors import UserError
from fedmed.federated.algorithms.fedadam import FedAdam
from fedmed.federated.ledger import Ledger
from fedmed.federated.rounds import federate
from fedmed.federated.state import State
from tests.support.sites import OPTIMISATION, iid, zero_head

GROUPS = ("server", "own", "held", "kept", "models")


def after(rounds: int) -> State:
    """Five hospitals and a server that keeps more than a head."""
    options = {"local_epochs": 1, "optimisation": OPTIMISATION, "seed": 42}
    return federate(iid(), algorithm=FedAdam(), model=zero_head(), rounds=rounds, **options)


@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_it_is_read_as_it_was_written(tmp_path: Path, rounds: int) -> None:
    path = tmp_path / "state.safetensors"
    state = after(rounds)
    state.save(path)
    read = State.load(path)
    assert (read.round, read.ledger) == (rounds, state.ledger)
    for group in GROUPS:
        before, now = getattr(state, group), getattr(read, group)
        assert before.keys() == now.keys()
        assert all(torch.equal(before[name], now[name]) for name in before)


def test_every_type_of_number_and_tensors_that_share_memory_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    sums = torch.arange(6, dtype=torch.float64).reshape(2, 3) / 7
    state = State(
        server={"A": sums, "n": torch.tensor([3, 4]), "none": torch.zeros(0)},
        own={"A": sums, "row": sums[1], "every": sums[0].expand(4, 3)},
        held={},
        kept={},
        models={},
    )
    state.save(path)
    read = State.load(path)
    assert torch.equal(read.server["A"], sums) and torch.equal(read.own["row"], sums[1])
    assert read.server["n"].tolist() == [3, 4] and read.own["every"].shape == (4, 3)


def test_the_model_is_the_last_rounds() -> None:
    state = after(3)
    assert torch.equal(state.model["weight"], state.models["weight"][2])
    assert torch.equal(state.model["weight"], state.server["model/weight"])


def test_saving_replaces_the_file_whole_and_leaves_nothing_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "state.safetensors"
    after(1).save(path)
    before = path.read_bytes()

    def fail(*paths):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        after(2).save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["state.safetensors"]


def test_the_ledger_of_many_hospitals_does_not_fill_the_header(tmp_path):
    """safetensors reads no header above 100 MB."""
    path = tmp_path / "state.safetensors"
    entry = {f"hospital_{number}": 4232 for number in range(1000)}
    ledger = Ledger([entry] * 20, [entry] * 20)
    State({}, {}, {}, {}, {}, ledger).save(path)
    assert int.from_bytes(path.read_bytes()[:8], "little") < 1000
    assert State.load(path).ledger == ledger


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "other"])
def test_a_damaged_state_is_refused_by_name(tmp_path, damage):
    path = tmp_path / "state.safetensors"
    if damage == "empty":
        path.touch()
    elif damage == "truncated":
        after(1).save(path)
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "other":
        save_file({"fc.weight": torch.zeros(2, 512)}, path)
    with pytest.raises(UserError, match=r"state\.safetensors.*--resume"):
        State.load(path)


@pytest.mark.parametrize("place", [-5000, -3000, -1])
def test_one_flipped_bit_is_noticed(tmp_path, place):
    path = tmp_path / "state.safetensors"
    after(2).save(path)
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"state\.safetensors.*--resume"):
        State.load(path)


def test_tensors_of_other_shapes_are_refused(tmp_path):
    path = tmp_path / "state.safetensors"
    after(1).save(path)
    save_file(load_file(path) | {"held/weight": torch.zeros(2, 100)}, path)
    with pytest.raises(UserError, match=r"state\.safetensors.*--resume"):
        State.load(path)

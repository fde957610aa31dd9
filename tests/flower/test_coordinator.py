"""A federation between machines ends with the bits of the one in one process, whatever happens."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from fedmed.errors import UserError
from fedmed.federated.algorithms import ALGORITHMS
from fedmed.federated.messages import encode
from fedmed.flower.hospital import LOST
from fedmed.flower.record import Record
from fedmed.flower.replay import replay
from tests.support.machines import WIDTH, LocalWire, coordinator, hospitals, killed, same, sites


def in_process(folder, mixes=None):
    record = Record.load(folder)
    return replay(record, sites(*([mixes] if mixes else [])), width=WIDTH, simulated=True)


@pytest.mark.parametrize("format", ["fp32", "int8"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_ends_with_the_bits_of_the_run_in_one_process(algorithm, format, tmp_path):
    wire = LocalWire(hospitals(tmp_path))
    state = coordinator(wire, tmp_path / "out", algorithm=algorithm, format=format).run()
    expected = in_process(tmp_path / "out")
    assert same(state.model, expected.model)
    assert state.ledger == expected.ledger
    assert state.round == (ALGORITHMS[algorithm].most_rounds or 3)


@pytest.mark.parametrize("algorithm", ["fedavg", "scaffold"])
def test_a_hospital_that_is_away_for_a_round_comes_back_to_the_same_bits(algorithm, tmp_path):
    def away_in_round_2(node, kind, message, answer):
        gone = kind == "train" and message["round"] == 2 and node == 102
        return {"hospital": "hospital_2", "refusal": "I am away"} if gone else answer

    wire = LocalWire(hospitals(tmp_path), away_in_round_2)
    options = {"min_hospitals": 2, "algorithm": algorithm, "rounds": 4, "format": "int8"}
    state = coordinator(wire, tmp_path / "out", **options).run()
    record = Record.load(tmp_path / "out")
    assert [entry["hospitals"] for entry in record.rounds][1] == ["hospital_1", "hospital_3"]
    assert record.rounds[1]["missing"] == {"hospital_2": "I am away"}
    assert record.rounds[2]["missing"] == {}
    assert same(state.model, in_process(tmp_path / "out").model)
    # It is told anew what it held, and only it, and only then.
    down = state.ledger.down
    assert down[2]["hospital_2"] > down[2]["hospital_1"] == down[3]["hospital_2"]


@pytest.mark.parametrize("algorithm", ["fedavg", "scaffold"])
@pytest.mark.parametrize("killed_in", [1, 2])
@pytest.mark.parametrize("killed_after", ["record", "state"])
def test_a_coordinator_that_is_killed_goes_on_to_the_same_bits(
    killed_after, killed_in, algorithm, tmp_path
):
    options = {"algorithm": algorithm}
    whole = coordinator(LocalWire(hospitals(tmp_path / "a")), tmp_path / "whole", **options).run()
    wire = LocalWire(hospitals(tmp_path / "b"))
    with killed(killed_in, saved=killed_after == "state"):
        coordinator(wire, tmp_path / "out", **options).run()
    wire.asked.clear()
    state = coordinator(wire, tmp_path / "out", **options).run()
    left = 3 - killed_in + (killed_after == "record")
    assert sum(kind == "train" for kind, _ in wire.asked) == left
    assert same(state.model, whole.model)
    assert [entry["round"] for entry in Record.load(tmp_path / "out").rounds] == [1, 2, 3]


def test_a_hospital_that_lost_what_it_kept_is_told_all_anew(tmp_path):
    there = hospitals(tmp_path)

    def loses(node, kind, message, answer):
        if kind == "train" and message["round"] == 1 and node == 102:
            shutil.rmtree(tmp_path / "hospital_2")
        return answer

    state = coordinator(LocalWire(there, loses), tmp_path / "out", min_hospitals=2).run()
    record = Record.load(tmp_path / "out")
    assert LOST in record.rounds[1]["missing"]["hospital_2"]
    assert "hospital_2" in record.rounds[2]["hospitals"]
    assert same(state.model, in_process(tmp_path / "out").model)


def test_other_options_do_not_go_on_with_a_federation(tmp_path):
    wire = LocalWire(hospitals(tmp_path))
    coordinator(wire, tmp_path / "out").run()
    with pytest.raises(UserError, match="other options"):
        coordinator(wire, tmp_path / "out", seed=7).run()


def nan(update):
    return encode({"weight": torch.full((1, 2, WIDTH), torch.nan), "bias": torch.zeros(1, 2)}, 1)[0]


@pytest.mark.parametrize(
    ("spoiled", "why"),
    [
        (lambda a: a | {"update": nan(a)}, "NaN"),
        (lambda a: a | {"update": a["update"] + bytes(10_000_000)}, "too long"),
        (lambda a: a | {"update": b"not a message"}, "not an update"),
        (lambda a: a | {"update": "text"}, "none to this round"),
        (lambda a: a | {"round": 9}, "none to this round"),
        (lambda a: a | {"hospital": "hospital_1"}, "another hospital's name"),
        (lambda a: a | {"features": b"x"}, "another form"),
        (lambda a: {"hospital": a["hospital"]}, "another form"),
    ],
)
def test_a_message_that_is_none_costs_its_hospital_the_round(spoiled, why, tmp_path):
    def spoil(node, kind, message, answer):
        wrong = kind == "train" and node == 103 and message["round"] == 1
        return spoiled(answer) if wrong else answer

    wire = LocalWire(hospitals(tmp_path), spoil)
    state = coordinator(wire, tmp_path / "out", min_hospitals=2).run()
    record = Record.load(tmp_path / "out")
    assert record.rounds[0]["hospitals"] == ["hospital_1", "hospital_2"]
    assert why in record.rounds[0]["missing"]["hospital_3"]
    assert "hospital_3" in record.rounds[1]["hospitals"]
    assert same(state.model, in_process(tmp_path / "out").model)


def test_a_round_without_enough_hospitals_does_not_count(tmp_path):
    def refuses(node, kind, message, answer):
        return (
            {"hospital": "hospital_2", "refusal": "no"}
            if node == 102 and kind == "train"
            else answer
        )

    wire = LocalWire(hospitals(tmp_path), refuses)
    with pytest.raises(UserError, match=r"round 1 never had the 3 hospitals .*hospital_2: no"):
        coordinator(wire, tmp_path / "out").run()
    assert not (tmp_path / "out" / "state.safetensors").exists()


def test_too_few_hospitals_are_waited_for_and_then_said(tmp_path):
    wire = LocalWire(hospitals(tmp_path), away={103})
    with pytest.raises(UserError, match="2 of 3 hospitals are there"):
        coordinator(wire, tmp_path / "out").run()


def test_a_hospital_that_joins_late_takes_part_from_then_on(tmp_path):
    wire = LocalWire(hospitals(tmp_path), away={103})

    def arrives(node, kind, message, answer):
        if kind == "train" and message["round"] == 1:
            wire.away.clear()
        return answer

    wire.spoil = arrives
    options = {"hospitals": 2, "min_hospitals": 2}
    state = coordinator(wire, tmp_path / "out", **options).run()
    took_part = [entry["hospitals"] for entry in Record.load(tmp_path / "out").rounds]
    assert took_part[0] == ["hospital_1", "hospital_2"]
    assert took_part[1] == took_part[2] == ["hospital_1", "hospital_2", "hospital_3"]
    assert same(state.model, in_process(tmp_path / "out").model)


def test_what_hospitals_held_out_is_scored_there_and_counted(tmp_path):
    wrong = {"counts": [2, 1, 0, 40]}

    def spoil(node, kind, message, answer):
        return answer | wrong if kind == "evaluate" and node == 102 else answer

    coordinator(LocalWire(hospitals(tmp_path), spoil), tmp_path / "out").run()
    record = json.loads((tmp_path / "out" / "federation.json").read_text())
    assert record["evaluation"] == {"hospital_1": [2, 1, 0, 4], "hospital_3": [2, 1, 0, 4]}

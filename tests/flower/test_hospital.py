"""What a hospital answers, and what never leaves it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fedmed.errors import UserError
from fedmed.federated.algorithms import ALGORITHMS
from fedmed.federated.messages import decode
from fedmed.flower import leaves
from fedmed.flower.hospital import UNABLE, Hospital, algorithm_of
from tests.flower.test_terms import TERMS
from tests.support.machines import coordinator, hospitals, watched


@pytest.fixture
def hospital(tmp_path):
    return hospitals(tmp_path)[0]


def refusal(hospital, kind="join", **message):
    answer = hospital.answer(kind, {"terms": TERMS.text(), **message})
    assert set(answer) == {"hospital", "refusal"}
    return answer["refusal"]


def test_what_the_two_sides_disagree_on_is_sent(hospital):
    assert "backbone digest" in refusal(hospital, terms=replace(TERMS, backbone="c" * 64).text())
    assert "no terms" in refusal(hospital, terms=None)


@pytest.mark.parametrize("error", [UserError("/data/xrays/SMITH.png cannot be read"), KeyError(1)])
def test_other_errors_stay_in_the_hospitals_log(error, capsys):
    def fails():
        raise error

    assert refusal(Hospital("hospital_1", fails)) == UNABLE
    told = capsys.readouterr()
    assert str(error) in told.out + told.err


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"round": 4, "hospitals": ["hospital_1"], "class_weights": [1.0, 1.0]},
        {"round": 1, "hospitals": ["hospital_2"], "class_weights": [1.0, 1.0]},
        {"round": 1, "hospitals": ["hospital_1"], "class_weights": [1.0, 1.0]},
        {"round": 1, "hospitals": ["hospital_1"], "class_weights": [1.0, 1.0], "broadcast": "x"},
        {"round": 1, "hospitals": ["hospital_1"], "class_weights": ["x", 1.0]},
    ],
)
def test_a_round_that_is_none_is_refused(hospital, message):
    assert refusal(hospital, "train", **message)


def test_a_broadcast_that_is_none_is_refused(hospital):
    message = {"round": 1, "hospitals": ["hospital_1"], "class_weights": [1.0, 1.0], "held": b""}
    assert refusal(hospital, "train", broadcast=b"malformed", **message) == UNABLE


def test_no_coordinator_sets_how_few_xrays_sums_are_sent_of():
    terms = replace(TERMS, algorithm="ridge")
    assert algorithm_of(terms, simulated=False) == ALGORITHMS["ridge"]()
    assert algorithm_of(terms, simulated=False).fewest > 0
    assert algorithm_of(terms, simulated=True).fewest == 0


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_leaves_is_what_is_named(algorithm, tmp_path):
    """Every field of every answer, and every tensor of an update, is in `--what-leaves`."""
    wire, seen = watched(hospitals(tmp_path))
    run = coordinator(wire, tmp_path / "out", algorithm=algorithm, rounds=1)
    run.run()
    assert {kind for kind, _ in seen} == {"join", "train", "evaluate"}
    for kind, answer in seen:
        assert set(answer) == set(leaves.ANSWERS[kind])
        if kind == "train":
            layout = run.algorithm.expected(run.algorithm.init(*_start())[0])
            assert set(decode([answer["update"]], layout)) == set(layout)
            assert all(name in leaves.updates()[algorithm] for name in layout)
    text = leaves.words()
    assert leaves.network() in text
    assert all(what in text for fields in leaves.ANSWERS.values() for what in fields.values())


@pytest.mark.parametrize("algorithm", ["fedavg", "class-means"])
def test_what_leaves_a_protected_run_is_what_is_named(algorithm, tmp_path):
    wire, seen = watched(hospitals(tmp_path))
    options = {"epsilon": 3.0, "secure_aggregation": True, "algorithm": algorithm, "rounds": 1}
    run = coordinator(wire, tmp_path / "out", **options)
    run.run()
    assert {kind for kind, _ in seen} == {"join", "keys", "train", "evaluate"}
    text = leaves.words()
    for kind, answer in seen:
        assert set(answer) == set(leaves.ANSWERS[kind])
        if kind == "train":
            layout = run.algorithm.expected(run.algorithm.init(*_start())[0])
            masked = {name: ("I64", shape) for name, (_, shape) in layout.items()}
            assert set(decode([answer["update"]], masked)) == set(layout)
    assert leaves.private_class_means() in text
    assert leaves.private_class_means() == "sums F64 [2, 513]"
    assert all(when in text for when in leaves.PROTECTED)


def _start():
    import torch

    from tests.support.machines import WIDTH
    from tests.support.sites import zero_head

    return zero_head(WIDTH), torch.ones(3, dtype=torch.int64)

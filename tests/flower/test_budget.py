"""What a hospital has spent of its patients' privacy, and its own limits on it."""

from __future__ import annotations

import json

import pytest

from fedmed.federated.messages import encode
from fedmed.flower.budget import Limits
from fedmed.flower.hospital import UNABLE
from fedmed.flower.record import Record
from fedmed.flower.terms import Terms
from tests.support.machines import WIDTH, LocalWire, asked_of, coordinator, hospitals
from tests.support.sites import zero_head

PRIVATELY = {"epsilon": 3.0}


def spent(home, name="hospital_1"):
    lines = (home / name / "privacy" / "spent.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_hospital_writes_down_what_each_run_spent(tmp_path):
    for number, options in enumerate((PRIVATELY, {"epsilon": 1.0, "algorithm": "class-means"})):
        coordinator(LocalWire(hospitals(tmp_path)), tmp_path / f"out_{number}", **options).run()
    first, second = spent(tmp_path)
    assert (first["epsilon"], first["algorithm"], first["last"]) == (3.0, "fedavg", 3)
    assert (second["epsilon"], second["algorithm"], second["last"]) == (1.0, "class-means", 1)
    assert first["run"] == Terms.read(Record.load(tmp_path / "out_0").terms).run


@pytest.mark.parametrize(
    ("limits", "options", "flag"),
    [
        (Limits(run=1.0), PRIVATELY, "--max-epsilon"),
        (Limits(run=3.0), {"epsilon": 3.0, "delta": 0.01}, "--max-epsilon"),
        (Limits(run=100.0), {}, "--max-epsilon"),
        (Limits(total=2.9), PRIVATELY, "--max-total-epsilon"),
        (Limits(total=100.0), {}, "--max-total-epsilon"),
    ],
)
def test_a_hospital_has_the_last_word(limits, options, flag, tmp_path):
    there = hospitals(tmp_path)[:2] + hospitals(tmp_path, limits=limits)[2:]
    run = coordinator(LocalWire(there), tmp_path / "out", hospitals=2, **options)
    run.run()
    assert set(run.roster.refused) == {"hospital_3"}
    assert flag in run.roster.refused["hospital_3"]
    assert not (tmp_path / "hospital_3" / "privacy").exists()


def test_its_limit_holds_for_all_runs_together(tmp_path):
    """Epsilon 1 twice is 1.47, and three times 1.83."""
    limits = Limits(run=1.0, total=1.5)
    outcomes = []
    for number in range(3):
        there = hospitals(tmp_path)[:2] + hospitals(tmp_path, limits=limits)[2:]
        run = coordinator(LocalWire(there), tmp_path / f"out_{number}", hospitals=2, epsilon=1.0)
        run.run()
        outcomes.append("hospital_3" in run.record.hospitals)
    assert outcomes == [True, True, False]
    assert len(spent(tmp_path, "hospital_3")) == 2
    # Nor is what it would be asked, without joining, done.
    kept: dict[int, tuple[dict, dict]] = {}
    there = hospitals(tmp_path, limits=limits)
    wire = LocalWire(hospitals(tmp_path))
    kept = asked_of(wire, 103)
    coordinator(wire, tmp_path / "out_3", epsilon=1.0).run()
    message, _ = kept[1]
    other = json.dumps(json.loads(message["terms"]) | {"run": "f" * 16})
    answer = there[2].answer("train", message | {"terms": other})
    assert "--max-total-epsilon" in answer["refusal"]


def test_after_a_run_without_an_epsilon_no_limit_of_all_runs_holds(tmp_path):
    coordinator(LocalWire(hospitals(tmp_path)), tmp_path / "open").run()
    there = hospitals(tmp_path, limits=Limits(total=100.0))
    run = coordinator(LocalWire(there), tmp_path / "out", hospitals=1, **PRIVATELY)
    with pytest.raises(Exception, match="more than it allows in all"):
        run.run()


def test_a_file_of_spending_that_is_damaged_is_no_leave_to_spend(tmp_path, capsys):
    coordinator(LocalWire(hospitals(tmp_path)), tmp_path / "out", **PRIVATELY).run()
    (tmp_path / "hospital_1" / "privacy" / "spent.jsonl").write_text("{")
    answer = hospitals(tmp_path)[0].answer("join", {"terms": Record.load(tmp_path / "out").terms})
    assert answer["refusal"] == UNABLE
    assert "without it nobody knows what was spent" in capsys.readouterr().out


def test_of_a_private_run_one_model_is_scored_and_no_other(tmp_path):
    """Noise is drawn once: of many models' counts, it would average out."""
    wire = LocalWire(hospitals(tmp_path))
    kept = []

    def look(node, kind, message, answer):
        if kind == "evaluate" and node == 101:
            kept.append((message, answer))
        return answer

    wire.spoil = look
    coordinator(wire, tmp_path / "out", **PRIVATELY).run()
    message, answer = kept[0]
    other = encode({name: tensor[None] + 1 for name, tensor in zero_head(WIDTH).items()}, 1)[0]
    assert wire.there[0].answer("evaluate", message) == answer
    assert spent(tmp_path)[0]["counts"] == answer["counts"]
    refused = wire.there[0].answer("evaluate", message | {"model": other})
    assert "another model of this run was scored" in refused["refusal"]
    coordinator(wire, tmp_path / "open").run()
    message, _ = kept[-1]
    assert "counts" in wire.there[0].answer("evaluate", message | {"model": other})

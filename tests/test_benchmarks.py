"""`python -m benchmarks` finds what there is, and sums runs up as it says."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import __main__ as topics
from benchmarks import engines, machines, measuring, pipeline, seeds, tables
from benchmarks.pipeline import Run
from fedmed import data
from fedmed.backbones.backbone import NETWORK
from fedmed.evaluation.metrics import METRICS
from fedmed.snapshot.reader import Snapshot
from tests.support.films import write_films


def test_every_topic_is_listed_with_its_first_line() -> None:
    found = topics.topics()
    assert {"app", "engines", "pipeline", "snapshot"} <= found.keys()
    assert found["engines"] == "Which engine is fast, and which faithful?"
    assert "measuring" not in found and "readme" not in found


def test_a_topic_is_told_where_the_x_rays_are_only_if_it_asks() -> None:
    plain = [sys.executable, "-m"]
    assert topics.command("pipeline", "DIR") == [*plain, "benchmarks.pipeline", "--data", "DIR"]
    assert topics.command("snapshot", "DIR") == [*plain, "benchmarks.snapshot"]


def test_without_data_nothing_is_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(topics.subprocess, "run", lambda *_: pytest.fail("it ran"))
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--all"])
    assert topics.cli.run(topics.main) == 2
    assert "--data DIR" in capsys.readouterr().err


def test_a_whole_plain_run_is_its_passes_over_the_median_speed() -> None:
    report = {
        "recipe": {"rounds": 5, "local_epochs": 3, "epochs": 10, "hospitals": 5},
        "data": {"training": {"images": {"NORMAL": 40, "PNEUMONIA": 60}}},
        "protocols": {"validation": {"n": 10}, "test": {"n": 20}},
        "timing": {"backbone_passes": 430, "features": 8.0},
        "environment": {"engine": "an engine"},
    }
    slices = [
        {"train": speed, "evaluate": 10.0, "floor": 43.0} for speed in (1.0, 20.0, 30.0)
    ]  # the first slice met a busy machine
    result = pipeline.summary(slices, Run(12.5, 1.5, report), Run(2.0, 1.0, report))
    assert result["passes"] == {"train": 100 * 40, "evaluate": 5 * 10 + 12 * 30, "floor": 430}
    assert result["seconds"] == {"plain": 200 + 41.0, "floor": 10.0, "cold": 12.5, "warm": 2.0}
    assert result["cold_over_floor"] == 1.25
    assert result["times_faster"] == {"cold": 241 / 12.5, "warm": 241 / 2}
    assert result["peak_memory_gib"] == 1.5


def test_engines_are_told_apart_by_verdicts_and_third_decimals() -> None:
    def models(auc: float, accuracy: float) -> dict[str, dict[str, dict[str, float]]]:
        values = dict.fromkeys(METRICS, 0.5) | {"auc": auc, "accuracy": accuracy}
        return {"central": {metric: {"value": value} for metric, value in values.items()}}

    verdicts = np.array([[True, False, True]])
    same = engines.against(models(0.9, 0.8), models(0.9004, 0.8), verdicts, verdicts)
    assert (same["verdicts turned"], same["metrics moved by 0.001"]) == (0, 0)
    moved = engines.against(models(0.9, 0.8), models(0.898, 0.85), verdicts, ~verdicts)
    assert (moved["verdicts turned"], moved["of"]) == (3, 3)
    assert (moved["metrics moved by 0.001"], moved["AUC, mean change"]) == (2, "-0.0020")
    assert moved["most by"] == pytest.approx(0.05)


def test_some_of_the_images_are_whole_patients_and_all_of_the_test_split(tmp_path: Path) -> None:
    write_films(tmp_path / "clinic")
    all_of_it = data.load(str(tmp_path / "clinic"))
    folder = engines._linked(tmp_path / "clinic", len(all_of_it.train) // 2, tmp_path / "some")
    some = data.load(str(folder))
    assert {xray.name for xray in some.test} == {xray.name for xray in all_of_it.test}
    chosen = {xray.patient for xray in some.train}
    assert {xray.name for xray in some.train} == {
        xray.name for xray in all_of_it.train if xray.patient in chosen
    }
    assert 0 < len(some.train) < len(all_of_it.train)


def test_other_seeds_are_of_the_run_that_ships(tmp_path: Path) -> None:
    snapshot = Snapshot.open(NETWORK)
    report = snapshot.report
    settings = seeds.of_seed(snapshot, "x-rays", 7, tmp_path)
    assert settings.train == "network" and settings.seed == 7 and not settings.audit
    assert settings.rounds == report["recipe"]["rounds"] and settings.size == 128
    found, models = seeds.shipped(report), report["protocols"]["test"]["models"]
    assert found["federated"]["test"]["auc"] == models["federated"]["auc"]["value"]
    assert found["central"]["test"]["auc"] == models["central"]["auc"]["value"]


def test_seeds_are_told_with_their_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    def row(seed: int, value: float) -> dict[str, Any]:
        def of(value: float) -> dict[str, Any]:
            return dict.fromkeys(("shifted", "test"), dict.fromkeys(seeds.SCORED, value))

        return {"seed": seed, "federated": of(value), "central": of(0.95)}

    found = {"ships": row(42, 0.94), "rows": [row(43, 0.95), row(44, 0.96)]}
    monkeypatch.setattr(tables, "stored", lambda name: found)
    told = tables.seeds()
    first = "| 42, ships | 94.0 / 94.0 | 94.0 / 94.0 | 94.0 % | 95.0 / 95.0 |"
    assert first in told and "\n| 44 | 96.0 / 96.0 |" in told
    assert "over 3 seeds, mean and standard deviation: federated accuracy 95.0 ± 1.0 %" in told
    assert "made by 1 state of the code." in told
    found["rows"][1]["code"] = "other"
    assert "made by 2 states of the code." in tables.seeds()
    # Student's t at 97.5 % with two degrees of freedom is 4.303.
    assert "accuracy 0.0 ± 1.0 points; 95 % interval of that mean -2.5 to 2.5." in told


def test_frames_that_are_late_show() -> None:
    pytest.importorskip("playwright")
    from benchmarks import frames

    found = frames.told({"times": [0, 16, 32, 82, 98], "tasks": [60.0]})
    assert found["frames a second"] == round(4000 / 98, 1)
    assert found["late, %"] == 25 and found["longest ms"] == 50
    assert found["median ms"] == 16 and found["tasks above 50 ms"] == 1


def test_a_rounds_seconds_are_from_when_all_had_joined() -> None:
    log = """INFO : Flower
0:20  hospital_1 joined: 3 NORMAL and 4 PNEUMONIA X-rays to train on.
0:58  hospital_2 joined: 3 NORMAL and 4 PNEUMONIA X-rays to train on.
1:28  Round 1 of 2: hospital_1, hospital_2
1:40  Round 2: awaited: hospital_2.
1:01:30  Round 2 of 2: hospital_1, hospital_2
"""
    assert machines.round_seconds(log) == [30.0, 3602.0]


def test_seeds_of_other_code_stay_until_they_are_asked_for(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(measuring, "RESULTS", tmp_path)
    assert measuring.kept("some") == []
    rows = [{"seed": 1, "code": "this"}, {"seed": 2, "code": "other"}]
    measuring.write("some", {"rows": rows}, tmp_path)
    found = {row["seed"]: row for row in measuring.kept("some")}
    assert [*found.values()] == rows
    assert seeds.lacking(found, [1, 3], "this") == [3]
    assert seeds.lacking(found, [1, 2], "this") == [2]

"""From X-rays to a snapshot: whole runs, killed ones and interrupted ones."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import train
from fedmed.experiment.settings import Settings
from fedmed.federated import rounds
from fedmed.inference import out_of_distribution
from fedmed.report import document, highlights
from fedmed.snapshot.reader import Snapshot
from tests.support.films import TEST
from tests.support.runs import MODELS, arguments, start, tensors
from tests.support.snapshots import random_backbone, tiny_snapshot


class TestARun:
    def test_the_snapshot_is_whole_and_opens(self, folder: Path) -> None:
        opened = Snapshot.open(folder)
        assert opened.models == MODELS
        heads = {"central_model", "federated_model", *(f"client_{k}_model" for k in (1, 2, 3))}
        names = {path.stem for path in folder.glob("*.safetensors")}
        assert {name for name in names if not name.startswith("backbone")} >= heads
        assert opened.backbone.sha256 == random_backbone().sha256
        assert len({tuple(head.flatten().tolist()) for head in opened.heads().weight}) == 5
        for name in ("README.md", "evaluation.json", "examples/examples.json"):
            assert (folder / name).is_file()

    def test_the_report_holds(self, folder: Path) -> None:
        opened = Snapshot.open(folder)
        document.validate(opened.report)
        assert opened.report["protocols"]["test"]["n"] == 2 * TEST
        assert list(opened.report["protocols"]["validation"]["models"]) == MODELS
        shifted = opened.report["protocols"]["shifted"]
        assert list(shifted["models"]) == MODELS
        assert shifted["n"] == opened.report["protocols"]["validation"]["n"]
        assert set(opened.report["local_only"]["shifted"]) == set(MODELS[2:])
        assert [one["round"] for one in opened.report["rounds"]] == [1, 2]
        assert opened.report["data"]["patients_known"]
        assert opened.report["data"]["patient_overlap"] == 0
        held_out, training = (opened.report["data"][key] for key in ("held_out", "training"))
        assert held_out["patients"] + training["patients"] == 40
        for name, entry in opened.config["models"].items():
            assert min(entry["training"].values()) > 0, name

    def test_the_card_is_the_reports(self, folder: Path) -> None:
        card = (folder / "README.md").read_text()
        assert card.startswith("---\n") and "model-index" in card

    def test_the_examples_are_of_the_test_split(self, folder: Path) -> None:
        examples = Snapshot.open(folder).examples
        assert [one["label"] for one in examples] == ["NORMAL", "PNEUMONIA"] * 2
        assert all(", test/" in one["source"] for one in examples)

    def test_no_path_of_this_disk_is_told(self, folder: Path, place: Path) -> None:
        for path in folder.rglob("*"):
            if path.is_file():
                assert str(place).encode() not in path.read_bytes(), path.name
        recipe = Snapshot.open(folder).report["recipe"]
        assert (recipe["data"], recipe["backbone"]) == ("clinic", "backbone")

    def test_in_a_log_each_step_is_a_line_with_the_time(
        self, folder: Path, finished: subprocess.CompletedProcess[str]
    ) -> None:
        assert finished.stderr == ""
        steps = re.findall(r"^\d+:\d\d  (.+)$", finished.stdout, re.MULTILINE)
        begun = [line.split(":")[0].split(",")[0] for line in steps if " of " not in line]
        assert list(dict.fromkeys(begun)) == [
            "Looking through the data",
            "Reading images",
            "Backbone passes",
            "Training on everything in one place",
            "Training federated",
            "The same with updates in FP16",
            "The same with updates in INT8",
            "Training each hospital alone",
            "Scoring every model",
            "Writing the snapshot",
        ]
        assert begun.count("Reading images") == 1, "statistics of training images reuse them"

    def test_it_ends_with_what_came_of_it_and_how_to_look_at_it(
        self, folder: Path, place: Path, finished: subprocess.CompletedProcess[str]
    ) -> None:
        lines = finished.stdout.splitlines()
        assert [line.split()[0] for line in lines if line.split()[:1] in [[m] for m in MODELS]] == (
            MODELS
        )
        assert lines[-2] == "Snapshot in snapshot. To look at it:"
        assert max(map(len, lines[:-1])) <= 80
        given, python, script = shlex.split(lines[-1])
        assert given == "FEDMED_SNAPSHOT=snapshot"
        assert shutil.which(python, path=f"{os.environ['PATH']}:{place}")
        assert (place / script).samefile(Path(train.__file__).with_name("app.py"))

    def test_nothing_else_is_left(self, folder: Path, place: Path) -> None:
        assert {path.name for path in place.iterdir()} == {
            "clinic",
            "backbone",
            "cache",
            "snapshot",
        }


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(
    settings: Settings, place: Path, tmp_path: Path
) -> None:
    assert train.run(settings) == 0
    assert tensors(settings.output) == tensors(place / "snapshot")
    other = replace(settings, seed=7, output=tmp_path / "other")
    assert train.run(other) == 0
    differing = {
        name
        for name, digest in tensors(other.output).items()
        if digest != tensors(place / "snapshot")[name]
    }
    assert {f"{name}_model.safetensors" for name in ("central", "federated", "client_1")} <= (
        differing
    )


KILLED = """
import os, signal, sys, train
import fedmed.{module} as module

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where pytest runs unattended
calls, whole = 0, module.{function}

def until(*arguments, **named):
    global calls
    calls += 1
    if calls == {call}:
        os.kill(os.getpid(), signal.{signal})
    return whole(*arguments, **named)

module.{function} = until
if __name__ == "__main__":
    sys.exit(train.run(train.parse()))
"""


def stopped(
    place: Path,
    module: str,
    function: str,
    call: int,
    options: list[str],
    cache: Path,
    by: str = "SIGKILL",
) -> subprocess.CompletedProcess[str]:
    """Start a run that is sent a signal as it calls `function` for the `call`-th time."""
    code = KILLED.format(module=module, function=function, call=call, signal=by)
    return start(place, code, options, cache)


def test_killed_anywhere_and_resumed_it_ends_with_the_same_bits(
    place: Path, finished: object, tmp_path: Path, settings: Settings, monkeypatch: Any
) -> None:
    output, cache = tmp_path / "killed", tmp_path / "cold"
    partial = tmp_path / "killed.partial"
    options = arguments(place, f"--output={output}")
    kills: list[tuple[str, str, int, Callable[[], bool]]] = [
        ("features.cache", "FeatureCache.add", 2, lambda: any(cache.rglob("*.safetensors"))),
        ("federated.state", "State.save", 4, (partial / "fp16.safetensors").exists),
        ("snapshot.reader", "write_head", 3, (partial / "snapshot").is_dir),
    ]
    for number, (module, function, call, reached) in enumerate(kills):
        resume = ["--resume"] if number else []
        done = stopped(place, module, function, call, options + resume, cache)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert reached(), (module, function)
        assert not output.exists()
    monkeypatch.setenv("FEDMED_CACHE", str(cache))
    assert train.run(replace(settings, output=output, resume=True)) == 0
    assert tensors(output) == tensors(place / "snapshot")
    assert Snapshot.open(output).report["timing"]["backbone_passes"] == 0
    assert not partial.exists()


def test_interrupted_it_says_how_to_go_on_and_harms_nothing(
    place: Path, finished: object, tmp_path: Path
) -> None:
    output = tiny_snapshot(tmp_path / "old")
    before = tensors(output)
    options = arguments(place, f"--output={output}")
    done = stopped(place, "federated.state", "State.save", 2, options, place / "cache", "SIGINT")
    assert done.returncode == 130
    assert "--resume" in done.stderr
    assert "Traceback" not in done.stderr
    assert tensors(output) == before
    Snapshot.open(output)


def test_a_run_of_other_options_is_not_gone_on_with(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(document, "build", die)
        assert train.run(settings) == 130
    assert "--resume" in capsys.readouterr().err
    assert train.run(replace(settings, resume=True, seed=1)) == 2
    assert "belongs to a run with other options" in capsys.readouterr().err
    monkeypatch.setattr(rounds, "_round", None)
    assert train.run(replace(settings, resume=True)) == 0, "no round is trained again"


def test_a_failed_run_leaves_the_snapshot_of_before(
    settings: Settings, monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_snapshot(settings.output)
    before = tensors(settings.output)

    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(document, "write", fail)
    assert train.run(settings) == 1
    assert "disk full" in capsys.readouterr().err
    assert tensors(settings.output) == before
    Snapshot.open(settings.output)


def test_what_the_app_would_not_open_replaces_nothing(
    settings: Settings, monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_snapshot(settings.output)
    before = tensors(settings.output)
    file = out_of_distribution.FILE
    monkeypatch.setattr(out_of_distribution, "save", lambda _, to: (to / file).write_bytes(b"?"))
    assert train.run(replace(settings, examples=0)) == 2
    assert "the snapshot that was made/" in capsys.readouterr().err
    assert tensors(settings.output) == before
    assert (settings.partial / "fp32.safetensors").exists()


def test_quantized_updates_are_sent_and_compared(settings: Settings) -> None:
    assert train.run(replace(settings, quantize="int8", examples=0)) == 0
    opened = Snapshot.open(settings.output)
    sent = opened.report["communication"]
    assert sent["sent"] == "int8"
    measured = {name: one["update_bytes"] for name, one in sent["formats"].items()}
    assert measured["int8"] < measured["fp16"] < measured["fp32"] < measured["full_fp32"]
    assert {name for name, one in sent["formats"].items() if "metrics" in one} == (
        {"fp32", "fp16", "int8"}
    )
    assert opened.report["rounds"][0]["bytes_up"]["hospital_1"] == measured["int8"]
    assert opened.examples == []
    kinds = {path.suffix for path in settings.output.rglob("*") if path.is_file()}
    assert kinds == {".safetensors", ".json", ".md"}, "no X-ray is in it"


@pytest.mark.parametrize("partition", ["dirichlet", "quantity-skew", "iid"])
def test_every_partition_trains(partition: str, settings: Settings) -> None:
    chosen = replace(settings, partition=partition, alpha=2.0, hospitals=2, examples=0)
    assert train.run(chosen) == 0
    told = Snapshot.open(settings.output).report["partition"]
    assert told["scheme"] == partition
    assert told["alpha"] == (2.0 if partition == "dirichlet" else None)
    for hospital in told["hospitals"]:
        assert min(hospital["images"].values()) > 0


@pytest.mark.parametrize("algorithm", ["scaffold", "class-means"])
def test_another_algorithm_trains_and_the_report_names_it(
    algorithm: str, settings: Settings, place: Path
) -> None:
    assert train.run(replace(settings, algorithm=algorithm, examples=0)) == 0
    report = Snapshot.open(settings.output).report
    assert (report["recipe"]["algorithm"], report["algorithm"]["name"]) == (algorithm, algorithm)
    ours, plain = tensors(settings.output), tensors(place / "snapshot")
    differing = {name for name, bits in plain.items() if ours[name] != bits}
    assert "federated_model.safetensors" in differing
    assert "central_model.safetensors" not in differing


def test_one_hospital_is_a_federation_too(settings: Settings) -> None:
    assert train.run(replace(settings, hospitals=1, examples=0)) == 0
    assert Snapshot.open(settings.output).models == ["central", "federated", "hospital_1"]


def test_of_many_hospitals_all_are_kept_and_some_are_shown(
    settings: Settings, monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(highlights, "MANY", 3)
    monkeypatch.setattr(highlights, "EXAMPLES", 2)
    assert train.run(replace(settings, hospitals=8, partition="iid", examples=0)) == 0
    told = capsys.readouterr().out
    assert "Of 8 hospitals, 2 are shown" in told and "hospital_2 " not in told
    opened = Snapshot.open(settings.output)
    assert len(opened.models) == len(opened.heads().weight) == 10
    models = opened.report["protocols"]["test"]["models"]
    assert [name for name in models if "roc" in models[name]] == (
        ["central", "federated", "hospital_1", "hospital_8"]
    )
    assert len(opened.report["rounds"][0]["bytes_up"]) == 8

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torchvision.models import resnet18

from fedmed import cli, export
from fedmed.backbones.backbone import Backbone
from fedmed.backbones.weights import write_state
from fedmed.imaging.preprocessing import to_input
from fedmed.report import document
from fedmed.snapshot.manifest import model_file, seal
from fedmed.snapshot.reader import Snapshot, write_head
from fedmed.training.heads import Heads
from tests.support.reports import MODELS, example_config, example_report

FILES = {model_file(model).replace(".safetensors", ".pth") for model in MODELS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A whole snapshot with a backbone and heads drawn at random."""
    made = tmp_path_factory.mktemp("made") / "snapshot"
    torch.manual_seed(0)
    backbone = Backbone(resnet18().state_dict(), {"id": "random", "source": "a test"})
    write_state(backbone.state, backbone.origin, made)
    for model in MODELS:
        head = Heads(torch.randn(1, 2, 512) / 20, torch.randn(1, 2))
        write_head(made / model_file(model), head, backbone)
    document.write(example_report(), made / "evaluation.json")
    config = example_config()
    config["backbone"]["sha256"] = backbone.sha256
    seal(made, config)
    return made


@pytest.fixture(scope="module")
def exported(folder, tmp_path_factory) -> Iterator[Path]:
    target = tmp_path_factory.mktemp("exported") / "not" / "yet"
    export.main([str(folder), str(target)])
    yield target
    shutil.rmtree(target)  # a third of a gigabyte that pytest would keep


def test_one_file_for_each_model_and_nothing_else(exported):
    assert {path.name for path in exported.iterdir()} == FILES
    assert {"central_model.pth", "federated_model.pth", "client_5_model.pth"} < FILES


def test_one_that_a_killed_run_had_moved_away_is_put_back(folder, tmp_path, monkeypatch):
    shutil.copytree(folder, tmp_path / ".snapshot.fedmed-retired")
    monkeypatch.setattr(export, "export", lambda snapshot, _: [snapshot.folder])
    export.main([str(tmp_path / "snapshot"), str(tmp_path / "models")])
    Snapshot.open(tmp_path / "snapshot")


@pytest.mark.parametrize("model", ["central", "federated", "hospital_3"])
def test_plain_torchvision_loads_it_and_predicts_the_same(folder, exported, model):
    file = exported / model_file(model).replace(".safetensors", ".pth")
    state = torch.load(file, weights_only=True)
    assert type(state) is dict
    network = resnet18(num_classes=2)
    network.load_state_dict(state)
    inputs = to_input(torch.rand(2, 1, 224, 224))
    with torch.inference_mode():
        found = network.eval()(inputs)

    snapshot = Snapshot.open(folder)
    head = snapshot.head(model)
    logits = snapshot.backbone.features(inputs) @ head["fc.weight"].T + head["fc.bias"]
    assert torch.allclose(found, logits, atol=1e-3)
    assert found.std() > 0.1


def test_whole_networks_are_each_their_own(networks_folder, tmp_path):
    opened = Snapshot.open(networks_folder)
    for path in export.export(opened, tmp_path):
        network = resnet18(num_classes=2)
        network.load_state_dict(torch.load(path, weights_only=True))
        model = next(m for m in opened.models if model_file(m).startswith(path.stem))
        state = opened.state(model)
        assert all(torch.equal(network.state_dict()[name], state[name]) for name in state)
        if model == "federated":
            break
    assert {path.name for path in tmp_path.iterdir()} == {
        "central_model.pth",
        "federated_model.pth",
    }


def test_the_models_differ_in_their_heads_alone(exported):
    central, federated = (
        torch.load(exported / f"{model}_model.pth", weights_only=True)
        for model in ("central", "federated")
    )
    different = {name for name in central if not torch.equal(central[name], federated[name])}
    assert different == {"fc.weight", "fc.bias"}


def test_the_snapshot_is_left_as_it_was(folder, exported):
    assert not list(folder.rglob("*.pth"))
    Snapshot.open(folder)


def test_an_interrupted_write_leaves_no_file(folder, tmp_path, monkeypatch):
    def interrupted(partial, path):
        assert partial.stat().st_size > 40_000_000
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    assert cli.run(lambda: export.main([str(folder), str(tmp_path / "out")])) == 130
    assert list((tmp_path / "out").iterdir()) == []


def test_a_disk_that_fills_up_is_told_in_one_message(folder, tmp_path, capsys):
    """As a limit on files has it: the first megabytes are taken, the rest is not."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000_000, limits[1]))
    try:
        assert cli.run(lambda: export.main([str(folder), str(tmp_path / "out")])) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    error = capsys.readouterr().err
    assert "File too large" in error and "Name another folder" in error
    assert list((tmp_path / "out").iterdir()) == []


def test_a_target_that_is_a_file_is_refused(folder, tmp_path, capsys):
    (tmp_path / "taken").write_text("mine")
    assert cli.run(lambda: export.main([str(folder), str(tmp_path / "taken")])) == 2
    assert "taken cannot be written" in capsys.readouterr().err
    assert (tmp_path / "taken").read_text() == "mine"


def test_the_command_refuses_what_is_no_snapshot_without_a_traceback(tmp_path):
    command = [sys.executable, "-m", "fedmed.export", str(tmp_path / "none"), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert done.returncode == 2
    assert "is no snapshot" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()

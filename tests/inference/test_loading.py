from __future__ import annotations

import json
import logging
import shutil
import socket
import time
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from fedmed.backbones import backbone, weights
from fedmed.errors import UserError
from fedmed.inference import choices
from fedmed.inference.shelf import Shelf
from fedmed.snapshot import fetch
from fedmed.snapshot.manifest import seal
from fedmed.snapshot.original import Original
from fedmed.snapshot.reader import Snapshot
from tests.support.hub_server import HubServer
from tests.support.hub_tools import contents
from tests.support.shelves import first_opened

REPO = "alice/fedmed"


@pytest.fixture(autouse=True)
def bundled(snapshot_folder, monkeypatch) -> Path:
    monkeypatch.setattr(backbone, "IMAGENET", snapshot_folder)
    monkeypatch.setattr(backbone, "NETWORK", snapshot_folder / "none")
    return snapshot_folder


@pytest.fixture
def copy(snapshot_folder, tmp_path) -> Path:
    return shutil.copytree(snapshot_folder, tmp_path / "elsewhere" / "mine")


@pytest.fixture
def no_network(monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def assert_bundled(opened, bundled: Path, *, saying: str) -> None:
    assert opened.label == "imagenet" and opened.snapshot.folder == bundled
    assert "could not be opened" in opened.why
    assert opened.problem is not None and saying in opened.problem
    assert opened.problem.count("The reason: ") == 1
    assert str(bundled.parent) not in opened.problem  # visitors read it
    assert len(opened.predictor.predict_image(Image.new("L", (64, 64))).labels) == 7


@pytest.mark.parametrize("environ", [{}, {"FEDMED_SNAPSHOT": " ", "FEDMED_MODEL_REPO": ""}])
def test_nothing_asked_for_is_the_bundled_one_without_a_network(bundled, no_network, environ):
    opened = first_opened(environ)
    assert (opened.label, opened.problem) == ("imagenet", None)
    assert opened.snapshot.folder == bundled
    assert "FEDMED_SNAPSHOT" in opened.why and "FEDMED_MODEL_REPO" in opened.why
    assert opened.snapshot.report["schema_version"] == 1


def test_a_folder_is_opened_without_a_network(copy, no_network):
    opened = first_opened({"FEDMED_SNAPSHOT": str(copy), "FEDMED_MODEL_REPO": REPO})
    assert (opened.label, opened.problem) == ("folder mine", None)
    assert opened.snapshot.folder == copy
    assert opened.why == "FEDMED_SNAPSHOT names this folder."


def test_a_snapshot_that_a_killed_run_had_moved_away_is_put_back(copy, no_network, monkeypatch):
    monkeypatch.chdir(copy.parent.parent)
    copy.rename(copy.with_name(".mine.fedmed-retired"))
    assert first_opened({"FEDMED_SNAPSHOT": "elsewhere/mine"}).label == "folder mine"
    assert [path.name for path in copy.parent.iterdir()] == ["mine"]


def test_a_relative_folder_that_looks_like_a_repository_is_a_folder(copy, no_network, monkeypatch):
    monkeypatch.chdir(copy.parent.parent)
    assert first_opened({"FEDMED_SNAPSHOT": "elsewhere/mine"}).label == "folder mine"


@pytest.mark.parametrize("asked", [".", "..", "./", "../mine"])
def test_a_relative_folder_is_told_by_its_name(bundled, copy, no_network, monkeypatch, asked):
    (copy / "below").mkdir()
    monkeypatch.chdir(copy / "below" if asked == ".." else copy)
    (copy / "config.json").write_text("{}")
    opened = first_opened({"FEDMED_SNAPSHOT": asked})
    said = "The reason: mine is no snapshot: config.json is missing or damaged."
    assert_bundled(opened, bundled, saying=said)


def test_a_folder_of_the_original_project_is_opened(tmp_path, no_network):
    import torch
    from torchvision.models import resnet18

    torch.save(resnet18(num_classes=2).state_dict(), tmp_path / "central_model.pth")
    (tmp_path / "client_1_model.pth").symlink_to(tmp_path / "central_model.pth")
    opened = first_opened({"FEDMED_SNAPSHOT": str(tmp_path)})
    assert isinstance(opened.snapshot, Original) and opened.problem is None
    assert list(opened.predictor.predict_image(Image.new("L", (64, 64))).labels) == [
        "central",
        "hospital_1",
    ]


def test_a_damaged_original_file_is_named(bundled, tmp_path):
    (tmp_path / "central_model.pth").write_bytes(b"no model")
    (tmp_path / "client_1_model.pth").write_bytes(b"no model")
    opened = first_opened({"FEDMED_SNAPSHOT": str(tmp_path)})
    assert_bundled(opened, bundled, saying="central_model.pth can't be read")


@pytest.mark.parametrize("asked", ["/no/such/folder", "./folder", "folder", "a/b/c"])
def test_a_folder_that_is_not_there(bundled, no_network, asked):
    opened = first_opened({"FEDMED_SNAPSHOT": asked})
    assert_bundled(opened, bundled, saying=f"there is no folder {Path(asked).name}")


def test_a_tampered_file_is_named_without_the_folder_it_is_in(bundled, copy):
    with (copy / "client_3_model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x01")
    opened = first_opened({"FEDMED_SNAPSHOT": str(copy)})
    assert_bundled(opened, bundled, saying="mine: client_3_model.safetensors is not the file")
    assert str(copy.parent) not in opened.problem


def reseal(folder: Path, change) -> None:
    config = json.loads((folder / "config.json").read_text())
    change(config)
    files = config.pop("files")
    seal(folder, config)
    assert files


def another_backbone(config) -> None:
    config["backbone"]["sha256"] = "0" * 64


def no_thresholds(config) -> None:
    del config["models"]["central"]["threshold"]


def another_schema(config) -> None:
    config["schema_version"] = 2


@pytest.mark.parametrize(
    ("change", "saying"),
    [
        (another_backbone, "the backbone is not the one"),
        (another_schema, "schema_version is 2; this version of FedMed opens 1"),
        (no_thresholds, "mine: config.json: the field models.central.threshold is missing"),
    ],
)
def test_a_sealed_snapshot_of_another_kind(bundled, copy, change, saying):
    reseal(copy, change)
    assert_bundled(first_opened({"FEDMED_SNAPSHOT": str(copy)}), bundled, saying=saying)


def test_a_report_that_lacks_a_field(bundled, copy):
    report = json.loads((copy / "evaluation.json").read_text())
    del report["partition"]
    (copy / "evaluation.json").write_text(json.dumps(report))
    reseal(copy, lambda config: None)
    assert_bundled(first_opened({"FEDMED_SNAPSHOT": str(copy)}), bundled, saying="partition")


def test_examples_that_are_not_vouched_for_are_refused(bundled, copy):
    (copy / "examples").mkdir()
    entry = {"file": "a.png", "label": "NORMAL", "source": "s", "licence": "l"}
    (copy / "examples" / "examples.json").write_text(json.dumps({"examples": [entry]}))
    reseal(copy, lambda config: None)
    Image.new("L", (30, 30)).save(copy / "examples" / "a.png")
    opened = first_opened({"FEDMED_SNAPSHOT": str(copy)})
    assert_bundled(opened, bundled, saying="names what is not there")


def test_weights_whose_answers_are_no_numbers_are_refused(bundled, copy):
    with safe_open(copy / "central_model.safetensors", framework="pt") as file:
        metadata = file.metadata()
    huge = {"fc.weight": torch.full((2, 512), 3e38), "fc.bias": torch.full((2,), -3e38)}
    huge["fc.weight"][0] = -3e38
    backbone_state = {
        name: tensor * 1e30 if name.startswith("bn1.bias") else tensor
        for name, tensor in Snapshot.open(copy).backbone.state.items()
    }
    whole = backbone.Backbone(backbone_state, {"id": "huge", "source": "a test"})
    for path in copy.glob("backbone*"):
        path.unlink()
    weights.write_state(whole.state, whole.origin, copy)
    metadata["backbone"] = json.dumps({"id": "huge", "sha256": whole.sha256})
    for path in copy.glob("*_model.safetensors"):
        save_file(huge, path, metadata)

    def belong(config) -> None:
        config["backbone"]["sha256"] = whole.sha256

    reseal(copy, belong)
    opened = first_opened({"FEDMED_SNAPSHOT": str(copy)})
    assert_bundled(opened, bundled, saying="answers are not finite")


def test_a_page_that_cannot_be_drawn_is_drawn_of_the_bundled_snapshot(bundled, copy):
    def draw(opened):
        if opened.label != "imagenet":
            raise ZeroDivisionError
        return opened

    opened = Shelf(draw, {"FEDMED_SNAPSHOT": str(copy)}).page()
    assert_bundled(opened, bundled, saying="can't show it (ZeroDivisionError)")
    with pytest.raises(ZeroDivisionError):
        Shelf(lambda opened: 1 / 0, {})


@pytest.mark.parametrize("variable", choices.VARIABLES)
def test_a_repository_is_fetched_and_opens_offline_afterwards(hub, copy, variable):
    commit = hub.add(REPO, contents(copy))
    asked = {variable: f"{REPO}@{commit}"}
    opened = first_opened(asked)
    assert (opened.label, opened.problem) == (f"{REPO}@{commit[:7]}", None)
    assert opened.why == f"{variable} names this repository on the Hugging Face Hub."
    assert isinstance(opened.snapshot, Snapshot) and opened.snapshot.models[0] == "central"
    hub.stop()
    assert first_opened(asked).label == opened.label


def test_a_folder_or_repository_in_fedmed_snapshot_comes_before_fedmed_model_repo(hub, copy):
    hub.add(REPO, contents(copy))
    opened = first_opened({"FEDMED_SNAPSHOT": REPO, "FEDMED_MODEL_REPO": "alice/other"})
    assert opened.label.startswith(f"{REPO}@")


@pytest.mark.parametrize("variable", choices.VARIABLES)
def test_a_repository_that_does_not_exist(hub: HubServer, bundled, variable):
    opened = first_opened({variable: "alice/none"})
    assert_bundled(opened, bundled, saying="alice/none can't be fetched: it does not exist")
    assert variable in opened.problem


def test_a_hub_that_is_not_there(hub: HubServer, bundled):
    hub.stop()
    opened = first_opened({"FEDMED_MODEL_REPO": REPO})
    assert_bundled(opened, bundled, saying="the connection to")


def test_a_repository_with_a_tampered_file(hub: HubServer, bundled, copy, tmp_path):
    files = contents(copy)
    files["central_model.safetensors"] = files["federated_model.safetensors"]
    commit = hub.add(REPO, files)
    opened = first_opened({"FEDMED_MODEL_REPO": REPO})
    named = f"{REPO}@{commit[:7]}: central_model.safetensors is not the file"
    assert_bundled(opened, bundled, saying=named)
    assert str(tmp_path) not in opened.problem


@pytest.mark.parametrize("asked", ["fedmed", "alice/fedmed@", "al..ice/fedmed"])
def test_a_name_that_is_none(bundled, no_network, asked):
    assert_bundled(first_opened({"FEDMED_MODEL_REPO": asked}), bundled, saying=f"'{asked}'")


def test_a_hub_that_takes_for_ever_is_given_up(bundled, monkeypatch, caplog):
    monkeypatch.setattr(fetch, "fetch", lambda *_, **__: time.sleep(30))
    monkeypatch.setattr(choices, "FETCH_SECONDS", 0.1)
    with caplog.at_level(logging.WARNING):
        opened = first_opened({"FEDMED_MODEL_REPO": REPO})
    assert_bundled(opened, bundled, saying="did not deliver it within")
    assert f"FEDMED_MODEL_REPO={REPO} could not be opened" in caplog.text  # operators read it


def test_a_bundled_snapshot_that_does_not_open_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(backbone, "IMAGENET", tmp_path / "none")
    with pytest.raises(UserError, match=r"^imagenet is no snapshot"):
        first_opened({})

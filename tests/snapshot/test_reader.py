"""A snapshot opens as it was sealed or not at all, and replaces nothing but a snapshot."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from fedmed.backbones.weights import write_state
from fedmed.report import document
from fedmed.snapshot.manifest import CONFIG, SnapshotError, verify
from fedmed.snapshot.reader import Snapshot
from tests.support.reports import MODELS, example_report
from tests.support.snapshots import random_backbone, reseal


@pytest.fixture
def folder(snapshot_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(snapshot_folder, tmp_path / "snapshot"))


def config_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "config.json").read_text())


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change config.json without sealing again."""
    config = config_of(folder)
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


def test_it_opens_with_everything_in_it(folder: Path) -> None:
    opened = Snapshot.open(folder)
    assert opened.models == list(MODELS)
    assert opened.report == json.loads((folder / "evaluation.json").read_text())
    assert opened.backbone.sha256 == opened.config["backbone"]["sha256"]
    heads = opened.heads()
    assert heads.weight.shape == (7, 2, 512) and heads.bias.shape == (7, 2)
    assert torch.equal(heads.weight[1], opened.head("federated")["fc.weight"])
    assert opened.examples == []


def test_a_models_state_is_torchvisions(folder: Path) -> None:
    from torchvision.models import resnet18

    state = Snapshot.open(folder).state("federated")
    missing, unexpected = resnet18(num_classes=2).load_state_dict(state, strict=False)
    assert not unexpected
    assert all(name.endswith("num_batches_tracked") for name in missing)


def test_a_head_names_its_backbone(folder: Path) -> None:
    from safetensors import safe_open

    with safe_open(folder / "federated_model.safetensors", framework="pt") as opened:
        assert (
            json.loads(opened.metadata()["backbone"])["sha256"]
            == config_of(folder)["backbone"]["sha256"]
        )


def test_every_file_but_config_and_card_is_vouched_for(folder: Path) -> None:
    present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert set(config_of(folder)["files"]) == present - {"config.json", "README.md"}


def test_whoever_may_read_the_configuration_may_read_the_rest(folder: Path) -> None:
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert len(modes) == 1


def test_every_file_is_checked(folder: Path) -> None:
    for name in config_of(folder)["files"]:
        path = folder / name
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(SnapshotError, match="differs") as caught:
            verify(folder)
        assert name in str(caught.value)
        path.unlink()
        with pytest.raises(SnapshotError, match="missing"):
            verify(folder)
        path.write_bytes(content)
    verify(folder)


def test_a_changed_card_is_no_harm(folder: Path) -> None:
    (folder / "README.md").write_text("# Mine")
    Snapshot.open(folder)


@pytest.mark.parametrize("name", ["extra.safetensors", "backbone-9.safetensors"])
def test_tensors_that_nobody_vouches_for_are_refused(name: str, folder: Path) -> None:
    shutil.copy(folder / "central_model.safetensors", folder / name)
    with pytest.raises(SnapshotError, match=f"{name} is not listed"):
        verify(folder)


def test_examples_that_nobody_vouches_for_are_refused(folder: Path) -> None:
    (folder / "examples").mkdir()
    (folder / "examples" / "examples.json").write_text('{"examples": []}')
    with pytest.raises(SnapshotError, match=r"examples\.json is not listed"):
        verify(folder)


def two_levels_up(config: dict[str, Any]) -> None:
    config["files"]["../secret.safetensors"] = "0" * 64


def absolute(config: dict[str, Any]) -> None:
    config["files"]["/etc/hostname"] = "0" * 64


def backslashes(config: dict[str, Any]) -> None:
    config["files"]["..\\secret.safetensors"] = "0" * 64


def model_elsewhere(config: dict[str, Any]) -> None:
    config["models"]["central"]["file"] = "../secret.safetensors"


def unlisted_model(config: dict[str, Any]) -> None:
    del config["files"]["central_model.safetensors"]


def unlisted_report(config: dict[str, Any]) -> None:
    del config["files"]["evaluation.json"]


def newer_schema(config: dict[str, Any]) -> None:
    config["schema_version"] = 2


def other_classes(config: dict[str, Any]) -> None:
    config["classes"] = ["PNEUMONIA", "NORMAL"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (two_levels_up, "outside the snapshot"),
        (absolute, "outside the snapshot"),
        (backslashes, "outside the snapshot"),
        (model_elsewhere, "is not listed with a sha256"),
        (unlisted_model, "is not listed with a sha256"),
        (unlisted_report, r"evaluation\.json is not listed"),
        (newer_schema, "schema_version is 2"),
        (other_classes, "the classes"),
    ],
)
def test_a_configuration_that_misleads_is_refused(
    change: Callable[[dict[str, Any]], object], message: str, folder: Path
) -> None:
    (folder.parent / "secret.safetensors").write_bytes(b"")
    rewrite(folder, change)
    with pytest.raises(SnapshotError, match=message):
        verify(folder)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"files": 3, "schema_version": 1, "models": {}}',
        '{"files": {"a": 1}, "schema_version": 1, "models": {}}',
        '{"files": [["a", "b"]], "schema_version": 1, "models": {}}',
        '{"files": {}, "schema_version": 1, "models": []}',
        '{"files": {}, "schema_version": 1, "models": {"central": {"file": ["a"]}}}',
        '{"files": {}, "schema_version": 1, "models": {"central": "a"}}',
    ],
)
def test_a_damaged_configuration_is_refused(content: str, folder: Path) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(SnapshotError, match="is no snapshot"):
        verify(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": {}}, "no central"),
        ({"backbone": None}, "config.json: backbone must be an object"),
        ({"preprocessing": {"size": [299, 299]}}, "another preprocessing"),
    ],
)
def test_sealed_but_not_for_this_program(
    changes: dict[str, Any], message: str, folder: Path
) -> None:
    reseal(folder, **changes)
    with pytest.raises(SnapshotError, match=message):
        Snapshot.open(folder)


def test_no_folder_is_no_snapshot(tmp_path: Path) -> None:
    for place in (tmp_path / "none", tmp_path):
        with pytest.raises(SnapshotError, match="is no snapshot"):
            Snapshot.open(place)


def test_a_sealed_report_that_lacks_a_field_is_refused(folder: Path) -> None:
    lacking = example_report()
    del lacking["protocols"]["test"]["models"]["central"]["auc"]
    document.write(lacking, folder / "evaluation.json")
    reseal(folder)
    with pytest.raises(SnapshotError, match=r"central\.auc is missing"):
        _ = Snapshot.open(folder).report
    (folder / "evaluation.json").write_text("{")
    reseal(folder)
    with pytest.raises(SnapshotError):
        _ = Snapshot.open(folder).report


def test_another_backbone_is_refused_even_if_sealed(folder: Path) -> None:
    for old in folder.glob("backbone*"):
        old.unlink()
    backbone = random_backbone(1)
    write_state(backbone.state, backbone.origin, folder)
    reseal(folder)
    with pytest.raises(SnapshotError, match="not the one the heads belong to"):
        _ = Snapshot.open(folder).backbone


def test_a_head_of_another_shape_or_of_garbage_is_refused(folder: Path) -> None:

    path = folder / "central_model.safetensors"
    save_file({"fc.weight": torch.zeros(3, 512), "fc.bias": torch.zeros(3)}, path)
    reseal(folder)
    with pytest.raises(SnapshotError, match=r"the head of central .* has the shapes"):
        Snapshot.open(folder).heads()
    path.write_bytes(b"garbage")
    reseal(folder)
    with pytest.raises(SnapshotError, match=r"the head of central .* is damaged"):
        Snapshot.open(folder).heads()


@pytest.mark.parametrize(
    "lie",
    [
        {"threshold": {"value": 1.01, "rule": "r"}},
        {"threshold": {"value": -0.01, "rule": "r"}},
        {"training": {"NORMAL": -1, "PNEUMONIA": 3}},
    ],
)
def test_thresholds_and_counts_that_cannot_be_are_refused(
    lie: dict[str, Any], folder: Path
) -> None:
    models = json.loads((folder / CONFIG).read_text(encoding="utf-8"))["models"]
    models["hospital_1"] |= lie
    reseal(folder, models=models)
    with pytest.raises(SnapshotError, match="hospital_1 a threshold outside 0 to 1, or a count"):
        Snapshot.open(folder)


class TestExamples:
    @pytest.fixture
    def entry(self) -> dict[str, str]:
        return {"file": "01.png", "label": "NORMAL", "source": "a test", "licence": "MIT"}

    def sealed(self, folder: Path, listing: Any) -> Snapshot:
        (folder / "examples").mkdir()
        (folder / "examples" / "01.png").write_bytes(b"a picture")
        (folder / "examples" / "examples.json").write_text(json.dumps(listing))
        reseal(folder)
        return Snapshot.open(folder)

    def test_they_are_listed(self, folder: Path, entry: dict[str, str]) -> None:
        assert self.sealed(folder, {"examples": [entry]}).examples == [entry]

    @pytest.mark.parametrize("file", ["../config.json", "02.png", "/etc/hostname", ""])
    def test_a_file_elsewhere_is_refused(
        self, file: str, folder: Path, entry: dict[str, str]
    ) -> None:
        with pytest.raises(SnapshotError, match="names what is not there"):
            _ = self.sealed(folder, {"examples": [entry | {"file": file}]}).examples

    @pytest.mark.parametrize("listing", [[], {}, {"examples": [{}]}, {"examples": ["a"]}])
    def test_a_damaged_list_is_refused(self, listing: Any, folder: Path) -> None:
        with pytest.raises(SnapshotError, match="is damaged"):
            _ = self.sealed(folder, listing).examples

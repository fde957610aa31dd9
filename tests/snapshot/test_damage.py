"""Snapshots that were damaged, swapped or made up: refused, with the file named."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from fedmed.backbones.backbone import IMAGENET
from fedmed.errors import UserError
from fedmed.inference.out_of_distribution import ReferenceStatistics
from fedmed.snapshot.manifest import DamagedError, SnapshotError, printable, verify
from fedmed.snapshot.reader import Snapshot
from tests.support.hub_tools import small_snapshot
from tests.support.snapshots import linked_copy, reseal

HEAD = "central_model.safetensors"


@pytest.fixture
def folder(snapshot_folder: Path, tmp_path: Path) -> Path:
    return linked_copy(snapshot_folder, tmp_path / "snapshot")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return small_snapshot(tmp_path / "small", {HEAD: bytes(range(256))})


def opened(folder: Path) -> Snapshot:
    found = Snapshot.open(folder)  # and all of it that the page shows
    _ = found.report, found.examples, found.backbone, found.heads()
    return found


# --- damage


def test_every_byte_of_every_listed_file_counts(small: Path) -> None:
    tried = 0
    for name in verify(small)["files"]:
        content = (small / name).read_bytes()
        for place, byte in enumerate(content):
            (small / name).write_bytes(
                content[:place] + bytes([byte ^ (1 << place % 8)]) + content[place + 1 :]
            )
            with pytest.raises(DamagedError, match="differs") as caught:
                verify(small)
            assert name in str(caught.value)
            tried += 1
        for length in range(0, len(content), max(1, len(content) // 40)):
            (small / name).write_bytes(content[:length])
            with pytest.raises(DamagedError, match="differs"):
                verify(small)
        (small / name).write_bytes(content)
    assert tried > 250


def test_every_byte_of_the_configuration_counts(small: Path) -> None:
    """Or is white space, or spells the same character another way."""
    path = small / "config.json"
    content, config = path.read_bytes(), verify(small)
    harmless = 0
    for place, byte in enumerate(content):
        for bit in (1, 0x20, 0x80):
            path.write_bytes(content[:place] + bytes([byte ^ bit]) + content[place + 1 :])
            try:
                assert verify(small) in (config, without_own_digest(config, small))
                harmless += 1
            except SnapshotError as error:
                assert "config.json" in str(error) or "schema_version" in str(error)
    assert harmless < len(content) / 2
    for length in range(len(content) - 2):
        path.write_bytes(content[:length])
        with pytest.raises(SnapshotError, match=r"config\.json"):
            verify(small)


def without_own_digest(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A configuration whose own digest goes by a damaged name, as it was read."""
    found = json.loads((folder / "config.json").read_bytes())
    rest = {name: part for name, part in config.items() if name != "config_sha256"}
    return found if rest.items() <= found.items() else config


def test_a_configuration_without_a_digest_of_its_own_opens(small: Path) -> None:
    config = verify(small)
    del config["config_sha256"]
    (small / "config.json").write_text(json.dumps(config))
    assert verify(small) == config


@pytest.mark.parametrize("part", ["start", "middle", "end"])
def test_large_files_too(part: str, folder: Path) -> None:
    for path in sorted(folder.glob("*.safetensors")):
        content = bytearray(path.read_bytes())
        place = {"start": 9, "middle": len(content) // 2, "end": -1}[part]
        content[place] ^= 4
        whole = path.rename(folder / "kept")
        path.write_bytes(content)
        with pytest.raises(DamagedError, match="differs") as caught:
            verify(folder)
        assert path.name in str(caught.value)
        whole.replace(path)
    verify(folder)


def test_swapped_heads_are_noticed(folder: Path) -> None:
    heads = [folder / HEAD, folder / "client_1_model.safetensors"]
    contents = [path.read_bytes() for path in heads]
    for path, content in zip(heads, contents[::-1], strict=True):
        path.write_bytes(content)
    with pytest.raises(DamagedError, match="differs"):
        verify(folder)


# --- names and places

SAFE = "a" * 64


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "examples/../../secret",
        "/etc/hostname",
        "..\\secret",
        "C:\\secret",
        "C:secret",
        "a.png:stream",
        "./central_model.safetensors",
        "examples//a.png",
        "examples/./a.png",
        "examples/",
        ".",
        "",
        "a\0b",
        "a\nb",
        "\x1b[31mred",
        "\u202egnp.a",
        "what?.png",
    ],
)
def test_a_name_that_is_none_is_refused(name: str, small: Path) -> None:
    (small.parent / "secret").write_bytes(b"secret")
    config = json.loads((small / "config.json").read_text())
    config["files"][name] = SAFE
    del config["config_sha256"]
    (small / "config.json").write_text(json.dumps(config))
    with pytest.raises(SnapshotError, match="outside the snapshot") as caught:
        verify(small)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["Config.json", "CENTRAL_MODEL.safetensors", "README.MD"])
def test_another_case_is_another_name(name: str, small: Path) -> None:
    config = json.loads((small / "config.json").read_text())
    config["files"][name] = SAFE
    del config["config_sha256"]
    (small / "config.json").write_text(json.dumps(config))
    with pytest.raises(DamagedError, match=r"is missing|differs"):
        verify(small)


def test_a_listed_folder_pipe_or_device_is_no_file(small: Path) -> None:
    path = small / "evaluation.json"
    for make in (path.mkdir, lambda: os.mkfifo(path), lambda: path.symlink_to("/dev/zero")):
        path.rmdir() if path.is_dir() else path.unlink()
        make()
        with pytest.raises(DamagedError, match=r"evaluation\.json is missing"):
            verify(small)


def test_a_file_larger_than_any_is_not_read(small: Path, monkeypatch: Any) -> None:
    with (small / HEAD).open("wb") as file:
        file.truncate(2**40)  # on most disks a hole
    with pytest.raises(DamagedError, match=f"{HEAD} is missing"):
        verify(small)


def test_a_link_counts_as_the_file_it_leads_to(small: Path) -> None:
    (small / HEAD).rename(small.parent / "elsewhere")
    (small / HEAD).symlink_to(small.parent / "elsewhere")
    verify(small)
    (small.parent / "elsewhere").write_bytes(b"other")
    with pytest.raises(DamagedError, match="differs"):
        verify(small)


@pytest.mark.parametrize("name", ["backbone.safetensors.index.json", "backbone-2.safetensors"])
def test_what_would_be_read_must_be_listed(name: str, small: Path) -> None:
    (small / name).write_bytes(b"{}")
    with pytest.raises(SnapshotError, match=f"{name} is not listed"):
        verify(small)


@pytest.mark.parametrize("name", [".gitattributes", "notes.txt", "evil.pth", "examples/mine.png"])
def test_what_is_not_read_may_lie_there(name: str, small: Path) -> None:
    (small / name).write_bytes(b"mine")
    verify(small)


def test_an_index_that_points_elsewhere_is_refused(folder: Path) -> None:
    index = folder / "backbone.safetensors.index.json"
    content = json.loads(index.read_text())
    for elsewhere in ("../secret.safetensors", "/etc/hostname", HEAD, 3, ["a"], None):
        index.unlink()
        index.write_text(json.dumps(content | {"weight_map": {"conv1.weight": elsewhere}}))
        reseal(folder)
        with pytest.raises(UserError, match="backbone"):
            _ = Snapshot.open(folder).backbone


@pytest.mark.parametrize("origin", ["[" * 99_999, "3", "[1]", "{"])
def test_a_backbone_that_lies_of_its_origin_is_refused(origin: str, folder: Path) -> None:
    index = folder / "backbone.safetensors.index.json"
    content = json.loads(index.read_text())
    content["metadata"]["origin"] = origin
    index.unlink()
    index.write_text(json.dumps(content))
    reseal(folder)
    with pytest.raises(UserError, match=r"backbone|origin"):
        _ = Snapshot.open(folder).backbone


def test_a_pickle_in_a_backbone_s_place_is_refused_by_name(folder: Path) -> None:
    path = min(folder.glob("backbone-*.safetensors"))
    path.unlink()
    path.write_bytes(pickle.dumps({"conv1.weight": 1}))
    reseal(folder)
    with pytest.raises(UserError, match=path.name):
        _ = Snapshot.open(folder).backbone


# --- the configuration


def config_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "config.json").read_text())


def change(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def apply(config: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        for parent in parents:
            config = config[parent]
        config[last] = value

    apply.__name__ = path
    return apply


WRONG: list[Any] = [None, True, -1, 3.5, "text", [], [1], {}, {"a": 1}, "<script>", 10**15]
PARTS = [
    "schema_version",
    "classes",
    "preprocessing",
    "backbone",
    "backbone.id",
    "backbone.source",
    "backbone.sha256",
    "files",
    "models",
    "models.central",
    "models.central.file",
    "models.central.title",
    "models.central.threshold",
    "models.central.threshold.value",
    "models.central.threshold.rule",
    "models.central.training",
    "models.hospital_2.training.NORMAL",
]


@pytest.mark.parametrize("part", PARTS)
def test_wrong_types_anywhere_are_refused(part: str, folder: Path, monkeypatch: Any) -> None:
    from fedmed.page import about

    monkeypatch.setattr("fedmed.snapshot.manifest._sha256", lambda path: "")
    config = config_of(folder)
    config["files"] = dict.fromkeys(config["files"], "")
    (folder / "config.json").unlink()
    for wrong in WRONG:
        damaged = json.loads(json.dumps(config))
        change(part, wrong)(damaged)
        damaged.pop("config_sha256")
        (folder / "config.json").write_text(json.dumps(damaged))
        try:
            found = Snapshot.open(folder)
        except SnapshotError as error:
            assert (
                "config.json" in str(error)
                or "schema_version" in str(error)
                or ("preprocessing" in str(error))
            )
        else:  # a text in place of a text, a number of a number
            page = about.html(found.config, found.report)
            assert "<script>" not in page
            assert isinstance(wrong, str) or part.split(".")[-1] in ("NORMAL", "training", "value")


@pytest.mark.parametrize(
    "name", ['"><script>', "hospital_0", "hospital_01", "Central", "hospital_1 ", "", "hospital_x"]
)
def test_a_model_of_a_strange_name_is_refused(name: str, folder: Path) -> None:
    models = config_of(folder)["models"]
    reseal(folder, models=models | {name: models["central"]})
    with pytest.raises(SnapshotError, match="names a model"):
        Snapshot.open(folder)


def test_a_report_of_other_models_is_refused(folder: Path) -> None:
    models = config_of(folder)["models"]
    del models["hospital_5"]
    reseal(folder, models=models)
    with pytest.raises(SnapshotError, match=r"evaluation\.json is of other models"):
        _ = Snapshot.open(folder).report


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"[" * 99_999, b'{"a": NaN}', b"\xff"])
def test_a_sealed_report_that_is_none_is_refused(content: bytes, folder: Path) -> None:
    (folder / "evaluation.json").write_bytes(content)
    reseal(folder)
    with pytest.raises(SnapshotError, match=r"evaluation\.json"):
        _ = Snapshot.open(folder).report


def test_statistics_of_another_shape_are_refused(folder: Path) -> None:
    whole = IMAGENET / "outliers.safetensors"
    for name, tensor in load_file(whole).items():
        for wrong in (torch.full_like(tensor, torch.nan), tensor[None], tensor.flatten()[:0]):
            changed = load_file(whole) | {name: wrong.contiguous()}
            save_file(changed, folder / "outliers.safetensors")
            with pytest.raises(UserError, match=r"outliers\.safetensors"):
                ReferenceStatistics.load(folder / "outliers.safetensors")


def test_what_a_snapshot_says_is_short_and_plain_in_a_message() -> None:
    assert printable("a.png") == "a.png"
    assert printable("\x1b[31m") == r"'\x1b[31m'"
    assert len(printable("a" * 9999)) < 120
    assert printable({"a": 1}) == "{'a': 1}"

"""Snapshots of whole networks: what is written is what was said, and lies are refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from fedmed.backbones.backbone import load
from fedmed.backbones.network_files import KEY
from fedmed.backbones.weights import State
from fedmed.errors import UserError
from fedmed.files import read_tensors
from fedmed.snapshot.manifest import SnapshotError
from fedmed.snapshot.networks import stored
from fedmed.snapshot.reader import Snapshot
from tests.support.reports import MODELS
from tests.support.snapshots import random_networks, reseal

FIRST = "client_1_model.safetensors"
SHARDS = [f"federated_model-0000{number}-of-00004.safetensors" for number in range(1, 5)]


@pytest.fixture(scope="module")
def kept() -> dict[str, State]:
    return stored(random_networks())


@pytest.fixture
def folder(networks_folder: Path, tmp_path: Path) -> Path:
    """A copy to damage. Its tensors are links to the source's, so replace, don't write."""
    folder = tmp_path / "snapshot"
    folder.mkdir()
    for path in networks_folder.iterdir():
        if path.suffix == ".safetensors":
            (folder / path.name).symlink_to(path)
        else:
            shutil.copy(path, folder)
    return folder


def read(folder: Path) -> State:
    return Snapshot.open(folder).state("hospital_1")


def test_what_is_read_is_what_was_said_bit_by_bit(
    networks_folder: Path, kept: dict[str, State]
) -> None:
    opened = Snapshot.open(networks_folder)
    assert opened.whole and opened.models == list(MODELS)
    for group in opened.groups:
        (model,) = group.models
        whole = group.backbone.state | {
            "fc.weight": group.heads.weight[0],
            "fc.bias": group.heads.bias[0],
        }
        assert whole.keys() == kept[model].keys()
        assert all(torch.equal(whole[name], kept[model][name]) for name in whole)
        assert group.backbone.size == 64
    state = opened.state("hospital_3")
    assert all(torch.equal(state[name], kept["hospital_3"][name]) for name in state)


def test_what_comes_back_would_be_stored_the_same(kept: dict[str, State]) -> None:
    again = stored(kept)
    assert all(torch.equal(again[m][name], kept[m][name]) for m in kept for name in kept[m])


def test_seven_take_less_than_60_mb_and_no_file_more_than_9(networks_folder: Path) -> None:
    sizes = {path.name: path.stat().st_size for path in networks_folder.glob("*.safetensors")}
    assert sum(sizes.values()) <= 60_000_000
    assert max(sizes.values()) <= 9_000_000
    assert len(sizes) == 4 + 6 and set(SHARDS) < set(sizes)


def test_the_federated_trunk_is_a_backbone(networks_folder: Path, kept: dict[str, State]) -> None:
    backbone = load(str(networks_folder))
    assert (backbone.size, backbone.id) == (64, "federated-from-random")
    weight = backbone.state["layer4.1.conv2.weight"]
    assert torch.equal(weight, kept["federated"]["layer4.1.conv2.weight"].half().float())
    assert not any(name.startswith("fc.") for name in backbone.state)
    opened = Snapshot.open(networks_folder).backbone
    assert torch.equal(opened.state["conv1.weight"], kept["federated"]["conv1.weight"]), (
        "as its own head saw it"
    )


@pytest.mark.parametrize(
    ("change", "saying"),
    [
        (lambda c: c["networks"].update(size=16), "not a whole number from 32 to 224"),
        (lambda c: c["networks"].update(format="zip"), "does not read: zip on federated"),
        (lambda c: c["networks"].update(base="central"), "does not read"),
        (lambda c: c.update(networks=[]), "networks must be an object"),
        (lambda c: c["models"]["central"].pop("files"), "does not name the files of central"),
        (lambda c: c["models"]["central"].update(files=[]), "does not name the files of central"),
        (lambda c: c["models"]["federated"].update(files=SHARDS[::-1]), "files of federated"),
        (lambda c: c["models"]["federated"].update(files=SHARDS[:1] * 9), "1 to 8 files, not 9"),
        (lambda c: c["models"]["federated"].update(files=SHARDS[:1]), "lacks"),
        (
            lambda c: c["models"]["hospital_2"].update(file=FIRST, files=[FIRST]),
            "does not name the files of hospital_2",
        ),
        (lambda c: c["networks"].update(size=96), "another federated one"),
        (lambda c: c["backbone"].update(sha256="0" * 64), "is not the one that config.json"),
    ],
)
def test_a_configuration_that_lies_is_refused(
    change: Callable[[dict[str, Any]], object], saying: str, folder: Path
) -> None:
    config = json.loads((folder / "config.json").read_text())
    change(config)
    reseal(folder, **config)
    with pytest.raises(SnapshotError, match=saying) as caught:
        list(Snapshot.open(folder).groups)
    assert str(folder) in str(caught.value)


def test_more_networks_than_memory_holds_are_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    entry = config["models"]["hospital_1"]
    config["models"] |= {f"hospital_{number}": entry for number in range(6, 90)}
    reseal(folder, **config)
    with pytest.raises(SnapshotError, match="more than 64 networks"):
        Snapshot.open(folder)


def rewritten(path: Path, **said: Any) -> None:
    """Say something else of a network in its file."""
    tensors, metadata = read_tensors(path)
    path.unlink()
    save_file(tensors, path, {KEY: json.dumps(json.loads(metadata[KEY]) | said)})


@pytest.mark.parametrize(
    ("said", "saying"),
    [
        ({"model": "hospital_2"}, "is not the network of hospital_1"),
        ({"size": 96}, "is not the network of hospital_1"),
        ({"size": "64"}, "not a whole number"),
        ({"base": "0" * 64}, "another federated one"),
        ({"base": None}, "is no difference to another"),
        ({"base": 3}, "no text"),
        ({"origin": []}, "no text"),
        ({"origin": {"id": 3}}, "no text"),
        ({"more": 1}, "does not say of which network it is"),
    ],
)
def test_a_file_that_says_otherwise_is_refused(
    said: dict[str, Any], saying: str, folder: Path
) -> None:
    rewritten(folder / FIRST, **said)
    reseal(folder)
    with pytest.raises(SnapshotError, match=saying):
        read(folder)


def test_files_of_two_networks_are_refused(folder: Path) -> None:
    rewritten(folder / SHARDS[1], model="central")
    reseal(folder)
    with pytest.raises(SnapshotError, match="its other shards are of different networks"):
        read(folder)
    with pytest.raises(UserError, match="different networks"):
        load(str(folder))


def test_a_difference_is_no_network_by_itself(folder: Path) -> None:
    for path in folder.glob("federated*"):
        path.unlink()
    (folder / FIRST).rename(folder / "federated_model.safetensors")
    with pytest.raises(UserError, match="is a difference to another network"):
        load(str(folder))


def test_a_file_too_large_is_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fedmed.backbones.network_files.SHARD_MEBIBYTES", 1)
    with pytest.raises(SnapshotError, match="larger than any file of a network"):
        read(folder)


@pytest.mark.parametrize("content", [b"", b"pickle", bytes(range(256)) * 40])
def test_a_damaged_file_is_refused(content: bytes, folder: Path) -> None:
    (folder / FIRST).unlink()
    (folder / FIRST).write_bytes(content)
    reseal(folder)
    with pytest.raises(SnapshotError, match="not a readable safetensors file"):
        read(folder)


def test_numbers_that_are_none_are_refused(folder: Path) -> None:
    with safe_open(folder / FIRST, framework="pt") as file:
        metadata = file.metadata()
    tensors, _ = read_tensors(folder / FIRST)
    tensors["layer2.0.conv1.weight.scale"].fill_(torch.inf)
    (folder / FIRST).unlink()
    save_file(tensors, folder / FIRST, metadata)
    reseal(folder)
    with pytest.raises(SnapshotError, match=r"not finite, in layer2\.0\.conv1\.weight"):
        read(folder)

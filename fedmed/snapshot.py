"""A snapshot: the folder every run ends in and the app begins with.

It opens only if every sha256 in its config.json holds, and it appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor

from fedmed.backbone import Backbone, read_state
from fedmed.errors import UserError
from fedmed.facts import CLASSES, FEATURES
from fedmed.training import Heads

SCHEMA_VERSION = 1
CONFIG, REPORT, CARD = "config.json", "evaluation.json", "README.md"


class SnapshotError(UserError):
    """A folder that is no snapshot, or not the one its config.json describes."""


@dataclass(frozen=True)
class Snapshot:
    """An opened, verified snapshot."""

    folder: Path
    config: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> Snapshot:
        """Open a folder.

        Raises:
            SnapshotError: it is no snapshot, or a file is missing or differs from its sha256.
        """
        return cls(folder, verify(folder))

    @property
    def models(self) -> list[str]:
        """`central`, `federated`, `hospital_1` ..., in the order they are shown."""
        return list(self.config["models"])

    @cached_property
    def report(self) -> dict[str, Any]:
        """The stored evaluation.json."""
        return json.loads((self.folder / REPORT).read_text(encoding="utf-8"))

    @cached_property
    def backbone(self) -> Backbone:
        """The stored backbone.

        Raises:
            SnapshotError: it is not the one the heads were trained on.
        """
        backbone = Backbone(*read_state(self.folder))
        if backbone.sha256 != self.config["backbone"]["sha256"]:
            raise SnapshotError(f"{self.folder}: the backbone is not the one the heads belong to.")
        return backbone

    def backbone_state(self) -> dict[str, Tensor]:
        """The backbone's FP32 tensors under torchvision's names, without the classifier."""
        return {name: tensor.float() for name, tensor in read_state(self.folder)[0].items()}

    def head(self, model: str) -> dict[str, Tensor]:
        """One model's `fc.weight` [2, 512] and `fc.bias` [2]."""
        from safetensors.torch import load_file

        head = load_file(self.folder / self.config["models"][model]["file"])
        shapes = {name: list(tensor.shape) for name, tensor in head.items()}
        if shapes != {"fc.weight": [len(CLASSES), FEATURES], "fc.bias": [len(CLASSES)]}:
            raise SnapshotError(f"{self.folder}: the head of {model} has the shapes {shapes}.")
        return head

    def heads(self) -> Heads:
        """All models' heads, in the order of `models`."""
        heads = [self.head(model) for model in self.models]
        return Heads(
            torch.stack([h["fc.weight"] for h in heads]), torch.stack([h["fc.bias"] for h in heads])
        )

    @property
    def examples(self) -> list[dict[str, str]]:
        """What can be clicked: `file` (in examples/), `label`, `source`, `licence`."""
        path = self.folder / "examples" / "examples.json"
        if not path.exists():
            return []
        return json.loads(path.read_text(encoding="utf-8"))["examples"]


def verify(folder: Path) -> dict[str, Any]:
    """Check every file of a snapshot against config.json, and return the configuration.

    Raises:
        SnapshotError: naming the first file that is missing, altered or out of place.
    """
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        files, version = config["files"], config["schema_version"]
        names = [model["file"] for model in config["models"].values()]
        listed = set(files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SnapshotError(f"{folder} is no snapshot: {CONFIG} is missing or damaged.") from error
    if version != SCHEMA_VERSION:
        raise SnapshotError(
            f"{folder}: schema_version is {version}; this version of FedMed opens {SCHEMA_VERSION}."
        )
    if config.get("classes") != list(CLASSES):
        raise SnapshotError(f"{folder}: the classes in {CONFIG} are not {', '.join(CLASSES)}.")
    for name in [*names, REPORT]:
        if name not in listed:
            raise SnapshotError(f"{folder}: {name} is not listed with a sha256 in {CONFIG}.")
    for name, expected in files.items():
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise SnapshotError(f"{folder}: {CONFIG} names {name}, outside the snapshot.")
        try:
            found = _sha256(folder / name)
        except OSError as error:
            raise SnapshotError(f"{folder}: {name} is missing; fetch or train it again.") from error
        if found != expected:
            raise SnapshotError(
                f"{folder}: {name} is not the file that {CONFIG} describes (its sha256 differs); "
                "fetch or train it again."
            )
    unlisted = [p.name for p in folder.glob("*.safetensors") if p.name not in listed]
    if unlisted:
        raise SnapshotError(f"{folder}: {unlisted[0]} is not listed with a sha256 in {CONFIG}.")
    return config


def check_output(folder: Path) -> None:
    """Refuse, before any work, a place where a snapshot cannot or should not be written.

    Raises:
        UserError: the folder holds something else than a snapshot, or its parent cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--output {folder} is a file; name a folder.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / CONFIG).exists():
        only_backbone = all(entry.name.startswith("backbone") for entry in folder.iterdir())
        if not only_backbone:
            raise UserError(
                f"--output {folder} holds files that are no snapshot, and they would be replaced; "
                "name another folder."
            )
    parent = folder.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--output {folder}: {parent} cannot be made ({error}).") from error
    if not os.access(parent, os.W_OK):
        raise UserError(f"--output {folder}: {parent} cannot be written.")


def seal(folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    """Write config.json with the sha256 of every file in `folder` but itself and the card."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in files}
    digests = {n: _sha256(path) for n, path in names.items() if n not in (CONFIG, CARD)}
    config = {"schema_version": SCHEMA_VERSION, **config, "files": digests}
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    return config


def move_into_place(aside: Path, folder: Path) -> None:
    """Make `aside` the snapshot at `folder`; what was there stays until the new one is whole."""
    verify(aside)
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    try:
        aside.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def model_file(model: str) -> str:
    """The file of a model: `central_model.safetensors`, `client_1_model.safetensors` ..."""
    return f"{model.replace('hospital_', 'client_')}_model.safetensors"


def write_head(path: Path, heads: Heads, backbone: Backbone) -> None:
    """Write one head (H = 1); the file's metadata names the backbone it belongs to."""
    from safetensors.torch import save_file

    tensors = {"fc.weight": heads.weight[0].contiguous(), "fc.bias": heads.bias[0].contiguous()}
    save_file(tensors, path, {"backbone": backbone.id, "backbone_sha256": backbone.sha256})


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()

"""A snapshot: the folder every run ends in and the app begins with.

It opens only if every sha256 in its config.json holds, and it appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor

from fedmed.backbone import Backbone, read_state
from fedmed.errors import UserError
from fedmed.facts import CLASSES, FEATURES
from fedmed.preprocessing import PREPROCESSING
from fedmed.report import validate
from fedmed.training import Heads

SCHEMA_VERSION = 1
CONFIG, REPORT, CARD = "config.json", "evaluation.json", "README.md"
EXAMPLES = "examples/examples.json"
EXAMPLE = ("file", "label", "source", "licence")


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
            SnapshotError: it is no snapshot, a file is missing or differs from its sha256, or it
                was made for another input.
        """
        config = verify(folder)
        if not {"central", "federated"} <= set(config["models"]):
            raise SnapshotError(f"{folder}: {CONFIG} names no central or no federated model.")
        if not isinstance(config.get("backbone"), dict) or "sha256" not in config["backbone"]:
            raise SnapshotError(f"{folder}: {CONFIG} tells no backbone.")
        if config.get("preprocessing") != PREPROCESSING:
            raise SnapshotError(
                f"{folder} was made for another preprocessing than this version of FedMed does."
            )
        return cls(folder, config)

    @property
    def models(self) -> list[str]:
        """`central`, `federated`, `hospital_1` ..., in the order they are shown."""
        return list(self.config["models"])

    @cached_property
    def report(self) -> dict[str, Any]:
        """The stored evaluation.json.

        Raises:
            SnapshotError: it lacks a field that FedMed reads.
        """
        try:
            report = json.loads((self.folder / REPORT).read_text(encoding="utf-8"))
            validate(report)
        except (UserError, ValueError) as error:
            raise SnapshotError(f"{self.folder}: {error}") from error
        return report

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
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            head = load_file(self.folder / self.config["models"][model]["file"])
        except SafetensorError as error:
            raise SnapshotError(f"{self.folder}: the head of {model} is damaged.") from error
        shapes = {name: list(tensor.shape) for name, tensor in head.items()}
        if shapes != {"fc.weight": [len(CLASSES), FEATURES], "fc.bias": [len(CLASSES)]}:
            raise SnapshotError(f"{self.folder}: the head of {model} has the shapes {shapes}.")
        if not all(bool(tensor.isfinite().all()) for tensor in head.values()):
            raise SnapshotError(f"{self.folder}: the head of {model} holds NaN or infinity.")
        return head

    def heads(self) -> Heads:
        """All models' heads, in the order of `models`."""
        heads = [self.head(model) for model in self.models]
        return Heads(
            torch.stack([h["fc.weight"] for h in heads]), torch.stack([h["fc.bias"] for h in heads])
        )

    @property
    def examples(self) -> list[dict[str, str]]:
        """What can be clicked: `file` (in examples/), `label`, `source`, `licence`.

        Raises:
            SnapshotError: examples.json is not that, or names a file that is not vouched for.
        """
        if EXAMPLES not in self.config["files"]:
            return []
        try:
            listing = json.loads((self.folder / EXAMPLES).read_text(encoding="utf-8"))
            entries = [{key: str(entry[key]) for key in EXAMPLE} for entry in listing["examples"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SnapshotError(f"{self.folder}: {EXAMPLES} is damaged.") from error
        for entry in entries:
            listed = f"examples/{entry['file']}" in self.config["files"]
            if not listed or entry["label"] not in CLASSES:
                raise SnapshotError(f"{self.folder}: {EXAMPLES} names what is not there: {entry}.")
        return entries


def verify(folder: Path) -> dict[str, Any]:
    """Check every file of a snapshot against config.json, and return the configuration.

    Raises:
        SnapshotError: naming the first file that is missing, altered or out of place.
    """
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        files, version = dict(config["files"]), config["schema_version"]
        names = [model["file"] for model in config["models"].values()]
        if not all(isinstance(text, str) for text in (*files, *files.values(), *names)):
            raise TypeError("names and digests are text")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SnapshotError(f"{folder} is no snapshot: {CONFIG} is missing or damaged.") from error
    if version != SCHEMA_VERSION:
        raise SnapshotError(
            f"{folder}: schema_version is {version}; this version of FedMed opens {SCHEMA_VERSION}."
        )
    if config.get("classes") != list(CLASSES):
        raise SnapshotError(f"{folder}: the classes in {CONFIG} are not {', '.join(CLASSES)}.")
    for name in [*names, REPORT]:
        if name not in files:
            raise SnapshotError(f"{folder}: {name} is not listed with a sha256 in {CONFIG}.")
    for name, expected in files.items():
        if not _is_inside(name):
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
    for path in (*folder.glob("*.safetensors"), *folder.glob(EXAMPLES)):
        if (name := path.relative_to(folder).as_posix()) not in files:
            raise SnapshotError(f"{folder}: {name} is not listed with a sha256 in {CONFIG}.")
    return config


def check_output(folder: Path) -> None:
    """Refuse, before any work, a place where a snapshot cannot or should not be written.

    Raises:
        UserError: the folder holds anything else than a snapshot, or cannot be replaced.
    """
    if folder.name in ("", ".."):
        raise UserError(f"--output {folder}: give the folder a name, such as snapshot.")
    if folder.is_symlink() or os.path.ismount(folder):
        raise UserError(
            f"--output {folder} is a link or a mounted disk, which a snapshot cannot replace; "
            "name a folder on it."
        )
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--output {folder} is a file; name a folder.")
    if stranger := _stranger(folder):
        raise UserError(
            f"--output {folder} would be replaced, and it holds {stranger}, which belongs to no "
            "snapshot; name another folder."
        )
    parent = next(path for path in folder.absolute().parents if path.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise UserError(f"--output {folder}: {parent} cannot be written.")


def seal(folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    """Write config.json with the sha256 of every file in `folder` but itself and the card.

    Whoever may read config.json may then read the others too: safetensors writes files that only
    their owner can read.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in files}
    digests = {n: _sha256(path) for n, path in names.items() if n not in (CONFIG, CARD)}
    config = {"schema_version": SCHEMA_VERSION, **config, "files": digests}
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    for name in digests:
        names[name].chmod((folder / CONFIG).stat().st_mode)
    return config


def move_into_place(aside: Path, folder: Path) -> None:
    """Make `aside` the snapshot at `folder`; what was there stays until the new one is whole."""
    verify(aside)
    retired = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    old = retired / folder.name
    try:
        if folder.exists():
            folder.rename(old)
        aside.rename(folder)
    except BaseException:
        if old.exists():
            old.rename(folder)
        retired.rmdir()
        raise
    shutil.rmtree(retired, ignore_errors=True)


def model_file(model: str) -> str:
    """The file of a model: `central_model.safetensors`, `client_1_model.safetensors` ..."""
    return f"{model.replace('hospital_', 'client_')}_model.safetensors"


def write_head(path: Path, heads: Heads, backbone: Backbone) -> None:
    """Write one head (H = 1); the file's metadata names the backbone it belongs to."""
    from safetensors.torch import save_file

    tensors = {"fc.weight": heads.weight[0].contiguous(), "fc.bias": heads.bias[0].contiguous()}
    # One entry: safetensors writes several in an order of chance, and a checkpoint's bytes count.
    belongs = json.dumps({"id": backbone.id, "sha256": backbone.sha256})
    save_file(tensors, path, {"backbone": belongs})


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in name


def _stranger(folder: Path) -> str | None:
    """The name of a file in `folder` that is neither a snapshot's nor a backbone's, if any."""
    try:
        listed = set(json.loads((folder / CONFIG).read_text(encoding="utf-8"))["files"])
        listed |= {CONFIG, CARD}
    except (OSError, ValueError, KeyError, TypeError):
        listed = set()
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if not path.is_dir() and name not in listed and not fnmatch(name, "backbone*.safetensors*"):
            return name
    return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()

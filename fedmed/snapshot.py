"""A snapshot: the folder every run ends in and the app begins with.

It opens only if every sha256 in its config.json holds, and it appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor

from fedmed.backbones.backbone import Backbone
from fedmed.backbones.weights import read_state
from fedmed.errors import UserError
from fedmed.files import read_json, sha256_of
from fedmed.imaging.preprocessing import PREPROCESSING
from fedmed.report.document import validate
from fedmed.report.schema import NUMBER, PER_CLASS, check
from fedmed.task import CLASSES, FEATURES
from fedmed.training.heads import Heads

SCHEMA_VERSION = 1
CONFIG, REPORT, CARD = "config.json", "evaluation.json", "README.md"
EXAMPLES = "examples/examples.json"
EXAMPLE = ("file", "label", "source", "licence")
# What is read of a folder, and so must be vouched for. Other files are neither read nor published.
READ = ("*.safetensors", "backbone*", EXAMPLES)
MAX_MEBIBYTES = 256  # of a file; a whole ResNet18 has 43
MODEL = re.compile("central|federated|hospital_[1-9][0-9]{0,4}")
# The fields of config.json that are read, as report_schema.py writes fields down.
FIELDS = {
    "preprocessing": dict,
    "backbone": {"id": str, "source": str, "sha256": str},
    "models": {
        str: {
            "file": str,
            "title": str,
            "threshold": {"value": NUMBER, "rule": str},
            "training": (dict, None),
        }
    },
}


class SnapshotError(UserError):
    """A folder that is no snapshot, or not the one its config.json describes."""


class DamagedError(SnapshotError):
    """A file is not what was sealed. A copy that is fetched again may be."""


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
        _check_fields(config, folder)
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
            SnapshotError: it lacks a field that FedMed reads, or is of other models.
        """
        try:
            report = read_json(self.folder / REPORT)
            validate(report)
        except (OSError, ValueError) as error:
            raise SnapshotError(f"{self.folder}: {REPORT} is damaged: {error}.") from error
        except UserError as error:
            raise SnapshotError(f"{self.folder}: {error}") from error
        if set(report["protocols"]["test"]["models"]) != set(self.models):
            raise SnapshotError(f"{self.folder}: {REPORT} is of other models than {CONFIG} names.")
        return report

    @cached_property
    def backbone(self) -> Backbone:
        """The stored backbone.

        Raises:
            SnapshotError: it is damaged, or not the one the heads were trained on.
        """
        try:
            backbone = Backbone(*read_state(self.folder))
        except UserError:
            raise
        except Exception as error:  # as in `head`
            kind = type(error).__name__
            raise SnapshotError(f"{self.folder}: the backbone is damaged ({kind}).") from error
        if backbone.sha256 != self.config["backbone"]["sha256"]:
            raise SnapshotError(f"{self.folder}: the backbone is not the one the heads belong to.")
        return backbone

    def backbone_state(self) -> dict[str, Tensor]:
        """The backbone's FP32 tensors under torchvision's names, without the classifier."""
        return {name: tensor.float() for name, tensor in read_state(self.folder)[0].items()}

    def head(self, model: str) -> dict[str, Tensor]:
        """One model's `fc.weight` [2, 512] and `fc.bias` [2], FP32.

        Raises:
            SnapshotError: the file holds something else, or belongs to another backbone.
        """
        file = self.config["models"][model]["file"]
        where = f"{self.folder}: the head of {model} ({shown(file)})"
        try:
            stored, metadata = _tensors(self.folder / file)
            head = {name: tensor.float() for name, tensor in stored.items()}
        # Whatever the file holds: safetensors, JSON and torch each have errors of their own.
        except Exception as error:
            raise SnapshotError(f"{where} is damaged ({type(error).__name__}).") from error
        shapes = {name: list(tensor.shape) for name, tensor in head.items()}
        if shapes != {"fc.weight": [len(CLASSES), FEATURES], "fc.bias": [len(CLASSES)]}:
            raise SnapshotError(f"{where} has the shapes {shown(shapes)}.")
        fractions = all(tensor.is_floating_point() for tensor in stored.values())
        # As it is used: what is finite in 64 bits may not be in 32, and 8 bits can't be asked.
        if not fractions or not all(torch.isfinite(tensor).all() for tensor in head.values()):
            raise SnapshotError(f"{where} holds numbers that are not finite fractions.")
        try:
            belongs = json.loads(metadata["backbone"])["sha256"]
        except (ValueError, KeyError, TypeError, RecursionError):
            belongs = None
        if belongs != self.config["backbone"]["sha256"]:
            raise SnapshotError(f"{where} belongs to another backbone than {CONFIG} tells.")
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
            listing = read_json(self.folder / EXAMPLES)
            entries = [{key: str(entry[key]) for key in EXAMPLE} for entry in listing["examples"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SnapshotError(f"{self.folder}: {EXAMPLES} is damaged.") from error
        for entry in entries:
            listed = f"examples/{entry['file']}" in self.config["files"]
            if not listed or entry["label"] not in CLASSES:
                raise SnapshotError(
                    f"{self.folder}: {EXAMPLES} names what is not there: {shown(entry)}."
                )
        return entries


def verify(folder: Path) -> dict[str, Any]:
    """Check every file of a snapshot against config.json, and return the configuration.

    A link counts as the file that it leads to.

    Raises:
        SnapshotError: naming the first file that is missing, altered or out of place.
    """
    config = read_config(folder)
    for name, expected in config["files"].items():
        try:
            found = _sha256(folder / name)
        except OSError as error:
            raise DamagedError(
                f"{folder}: {shown(name)} is missing; fetch or train it again."
            ) from error
        if found != expected:
            raise DamagedError(
                f"{folder}: {shown(name)} is not the file that {CONFIG} describes (its sha256 "
                "differs); fetch or train it again."
            )
    for path in (path for pattern in READ for path in folder.glob(pattern)):
        name = path.relative_to(folder).as_posix()
        if name not in config["files"] and not path.is_dir():
            raise SnapshotError(f"{folder}: {shown(name)} is not listed with a sha256 in {CONFIG}.")
    return config


def read_config(folder: Path) -> dict[str, Any]:
    """The config.json of a snapshot; its files need not be there.

    Raises:
        SnapshotError: it is missing, damaged, or of another version, or lists no snapshot's files.
    """
    try:
        config = read_json(folder / CONFIG)
        files, version = config["files"], config["schema_version"]
        names = [model["file"] for model in config["models"].values()]
        if not all(isinstance(text, str) for text in (*files, *files.values(), *names)):
            raise TypeError("names and digests are text")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        kind = DamagedError if isinstance(error, ValueError) else SnapshotError
        raise kind(f"{folder} is no snapshot: {CONFIG} is missing or damaged.") from error
    if version != SCHEMA_VERSION or version is True:  # which equals 1
        raise SnapshotError(
            f"{folder}: schema_version is {shown(version)}; this version of FedMed opens "
            f"{SCHEMA_VERSION}."
        )
    if config.get("classes") != list(CLASSES):
        raise SnapshotError(f"{folder}: the classes in {CONFIG} are not {', '.join(CLASSES)}.")
    for name in [*names, REPORT]:
        if name not in files:
            raise SnapshotError(f"{folder}: {shown(name)} is not listed with a sha256 in {CONFIG}.")
    for name in files:
        if not _is_inside(name):
            raise SnapshotError(f"{folder}: {CONFIG} names {shown(name)}, outside the snapshot.")
    # Not there in a snapshot made before it was.
    if config.get("config_sha256") not in (None, _own_sha256(config)):
        raise DamagedError(f"{folder}: {CONFIG} was altered; fetch or train it again.")
    return config


def seal(folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    """Write config.json with the sha256 of every file in `folder` but the card; of itself, too.

    Whoever may read config.json may then read the others too: safetensors writes files that only
    their owner can read.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in files}
    digests = {n: _sha256(path) for n, path in names.items() if n not in (CONFIG, CARD)}
    config = {"schema_version": SCHEMA_VERSION, **config, "files": digests}
    config["config_sha256"] = _own_sha256(config)
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    for name in digests:
        names[name].chmod((folder / CONFIG).stat().st_mode)
    return config


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


def is_read(name: str) -> bool:
    """Whether the file of this name, relative to a snapshot's folder, is read if it is there."""
    return any(PurePosixPath("/", name).match(f"/{pattern}") for pattern in READ)


def shown(value: object) -> str:
    """What a snapshot says, made fit for a message: one short line without control characters."""
    text = value if isinstance(value, str) else repr(value)
    text = text if text.isprintable() else ascii(text)
    return text if len(text) <= 100 else f"{text[:100]} ..."


def _check_fields(config: dict[str, Any], folder: Path) -> None:
    """Refuse a configuration without what the page and the panel read of it."""
    models = config["models"]
    if not {"central", "federated", "hospital_1"} <= set(models):
        raise SnapshotError(f"{folder}: {CONFIG} names no central, federated or hospital's model.")
    if strange := [name for name in models if not MODEL.fullmatch(name)]:
        raise SnapshotError(f"{folder}: {CONFIG} names a model {shown(strange[0])}.")
    try:
        check(config, FIELDS)
        for name, model in models.items():
            if model["training"] is not None:
                check(model["training"], PER_CLASS, f"models.{name}.training")
    except UserError as error:  # the check knows the other file alone
        raise SnapshotError(f"{folder}: {str(error).replace(REPORT, CONFIG, 1)}") from error
    for name, model in models.items():
        counts = (model["training"] or {}).values()
        if not 0 <= model["threshold"]["value"] <= 1 or any(count < 0 for count in counts):
            raise SnapshotError(
                f"{folder}: {CONFIG} gives {name} a threshold outside 0 to 1, or a count below 0."
            )


def _tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a safetensors file, and its metadata."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118


def _is_inside(name: str) -> bool:
    """Whether a name in config.json is that of a file in the snapshot, on every system."""
    path = PurePosixPath(name)
    plain = path.as_posix() == name and name.isprintable() and not set(name) & set('\\:*?"<>|')
    return plain and not path.is_absolute() and ".." not in path.parts and name != "."


def _own_sha256(config: dict[str, Any]) -> str:
    """The digest that config.json holds of its own content."""
    rest = {name: part for name, part in config.items() if name != "config_sha256"}
    text = json.dumps(rest, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _sha256(path: Path) -> str:
    if path.stat().st_size > MAX_MEBIBYTES * 2**20:
        raise FileNotFoundError(f"{path.name} is larger than any file of a snapshot")
    return sha256_of(path)

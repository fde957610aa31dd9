"""config.json: what a snapshot holds, and the digest of every file in it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, cast

from fedmed.errors import UserError
from fedmed.files import read_json, sha256_of
from fedmed.report.check import check
from fedmed.report.schema import Config, Report
from fedmed.task import CLASSES, model_title

SCHEMA_VERSION = 1
CONFIG, REPORT, CARD = "config.json", "evaluation.json", "README.md"
EXAMPLES = "examples/examples.json"
SUMS = "sums.safetensors"  # each hospital's, where a run was told to keep them; never published
# What is read of a folder, and so must be vouched for. Other files are neither read nor published.
READ = ("*.safetensors", "backbone*", EXAMPLES)
MAX_MEBIBYTES = 256  # of a file; a whole ResNet18 has 43
MODEL = re.compile("central|federated|hospital_[1-9][0-9]{0,4}")


class SnapshotError(UserError):
    """A folder that is no snapshot, or not the one its config.json describes."""


class DamagedError(SnapshotError):
    """A file is not what was sealed. A copy that is fetched again may be."""


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
                f"{folder}: {printable(name)} is missing; fetch or train it again."
            ) from error
        if found != expected:
            raise DamagedError(
                f"{folder}: {printable(name)} is not the file that {CONFIG} describes (its sha256 "
                "differs); fetch or train it again."
            )
    for path in (path for pattern in READ for path in folder.glob(pattern)):
        name = path.relative_to(folder).as_posix()
        if name not in config["files"] and not path.is_dir():
            raise SnapshotError(
                f"{folder}: {printable(name)} is not listed with a sha256 in {CONFIG}."
            )
    return config


def read_config(folder: Path) -> dict[str, Any]:
    """The config.json of a snapshot; its files need not be there.

    Raises:
        SnapshotError: it is missing, damaged, or of another version, or lists no snapshot's files.
    """
    if not folder.is_dir():
        raise SnapshotError(f"{folder} is no snapshot: there is no such folder.")
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
            f"{folder}: schema_version is {printable(version)}; this version of FedMed opens "
            f"{SCHEMA_VERSION}."
        )
    if config.get("classes") != list(CLASSES):
        raise SnapshotError(f"{folder}: the classes in {CONFIG} are not {', '.join(CLASSES)}.")
    for name in [*names, REPORT]:
        if name not in files:
            raise SnapshotError(
                f"{folder}: {printable(name)} is not listed with a sha256 in {CONFIG}."
            )
    for name in files:
        if not _is_inside(name):
            raise SnapshotError(
                f"{folder}: {CONFIG} names {printable(name)}, outside the snapshot."
            )
    # Not there in a snapshot made before it was.
    if config.get("config_sha256") not in (None, _own_sha256(config)):
        raise DamagedError(f"{folder}: {CONFIG} was altered; fetch or train it again.")
    return config


def seal(folder: Path, config: dict[str, Any]) -> Config:
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
    return cast(Config, config)


def model_file(model: str) -> str:
    """The file of a model: `central_model.safetensors`, `client_1_model.safetensors` ..."""
    return f"{model.replace('hospital_', 'client_')}_model.safetensors"


def is_read(name: str) -> bool:
    """Whether the file of this name, relative to a snapshot's folder, is read if it is there."""
    return any(PurePosixPath("/", name).match(f"/{pattern}") for pattern in READ)


def printable(value: object) -> str:
    """What a snapshot says, made fit for a message: one short line without control characters."""
    text = value if isinstance(value, str) else repr(value)
    text = text if text.isprintable() else ascii(text)
    return text if len(text) <= 100 else f"{text[:100]} ..."


def check_fields(config: dict[str, Any], folder: Path) -> None:
    """Refuse a configuration without what the page and the predictor read of it."""
    models = config["models"]
    if not of_machines(config) and not {"central", "federated", "hospital_1"} <= set(models):
        raise SnapshotError(f"{folder}: {CONFIG} names no central, federated or hospital's model.")
    if strange := [name for name in models if not MODEL.fullmatch(name)]:
        raise SnapshotError(f"{folder}: {CONFIG} names a model {printable(strange[0])}.")
    try:
        check(config, Config, file=CONFIG)
    except UserError as error:
        raise SnapshotError(f"{folder}: {error}") from error
    for name, model in models.items():
        counts = (model["training"] or {}).values()
        if not 0 <= model["threshold"]["value"] <= 1 or any(count < 0 for count in counts):
            raise SnapshotError(
                f"{folder}: {CONFIG} gives {name} a threshold outside 0 to 1, or a count below 0."
            )


def of_machines(config: Mapping[str, Any]) -> bool:
    """Whether a snapshot is of a federation between machines, whose only model is the federated."""
    return set(config["models"]) == {"federated"}


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


def model_entries(
    names: Sequence[str], results: Report, files: Mapping[str, Sequence[str]] | None = None
) -> dict[str, Any]:
    """config.json's `models`: file, title, threshold and what each model was trained on.

    `files` are those of whole networks, by model.
    """
    mixes = {site["name"]: site["images"] for site in results["partition"]["hospitals"]}
    everything = results["data"]["training"]["images"]
    scores = results["protocols"]["validation"]["models"]
    scaling = results.get("calibration", {"models": {}})["models"]
    return {
        name: {
            **_files(name, files),
            "title": model_title(name),
            "threshold": scores[name]["threshold"],
            "training": mixes.get(name, everything),
            **({"temperature": scaling[name]["temperature"]} if name in scaling else {}),
        }
        for name in names
    }


def _files(name: str, files: Mapping[str, Sequence[str]] | None) -> dict[str, Any]:
    if files is None:
        return {"file": model_file(name)}
    return {"file": files[name][0], "files": [*files[name]]}

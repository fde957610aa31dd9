"""A snapshot of whole networks: how they are stored, so that seven take less than 60 MB.

`federated` is stored as any backbone is, in FP16. The others, which all began where it did, are
told by what they differ by from it as it is stored, in 4 bits a weight. A run's report is computed
with exactly what comes back: `stored`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fedmed.backbones import network_files
from fedmed.backbones.network_files import About
from fedmed.backbones.quantized import decode, encode
from fedmed.backbones.weights import State, check_size, fingerprint
from fedmed.errors import UserError
from fedmed.snapshot.manifest import CONFIG, SnapshotError, model_file, printable

BASE = "federated"
FORMAT = "the base in FP16; others 4-bit differences to it, with a scale for 64 weights"
MOST = 64  # networks that are opened: each takes 45 MB of memory
BACKBONE_ID = "networks"  # in config.json, in place of the id of a backbone that all share


def stored(networks: Mapping[str, State]) -> dict[str, State]:
    """What reading gives back of networks that `write_networks` would write, bit by bit.

    `networks` are states by model, of the tensors that `quantized.layout` names; `federated` is
    one of them.

    Raises:
        UserError: one is no ResNet18 of two classes, or holds numbers that are not finite.
    """
    base = decode(encode(networks[BASE]), None, BASE)
    return {
        model: base if model == BASE else decode(encode(network, base), base, model)
        for model, network in networks.items()
    }


def write_networks(
    folder: Path, networks: Mapping[str, State], origin: Mapping[str, Any], size: int
) -> dict[str, list[str]]:
    """Write every network, and return its files' names by model.

    `origin` says where training began and what it was: `id`, `source`. `size` is the side of the
    networks' input.

    Raises:
        UserError: as `stored`.
    """
    base = decode(encode(networks[BASE]), None, BASE)
    sha256 = fingerprint(base, size)
    return {
        model: network_files.write(
            folder,
            _stem(model),
            encode(network, None if model == BASE else base),
            About(model, size, None if model == BASE else sha256, dict(origin)),
        )
        for model, network in networks.items()
    }


def config_entries(
    networks: Mapping[str, State], origin: Mapping[str, Any], size: int
) -> dict[str, Any]:
    """config.json's `backbone` and `networks`, of the networks as they are `stored`.

    `backbone` says that none is shared, where training began, and by its `sha256` which the
    federated network is. A FedMed from before there were networks refuses the snapshot for lack of
    a backbone's file.
    """
    return {
        "backbone": {
            **origin,
            "id": BACKBONE_ID,
            "source": "none is shared: every model is a whole network, trained end to end from "
            f"{origin['id']}, {origin['source']}",
            "sha256": fingerprint(networks[BASE], size),
        },
        "networks": {"size": size, "format": FORMAT, "base": BASE},
    }


def read_networks(folder: Path, config: Mapping[str, Any]) -> Iterator[tuple[str, State]]:
    """Every model's network in the order of config.json's `models`, read when it is asked for.

    Raises:
        SnapshotError: a file is not the network that config.json says it is.
    """
    base = _read(folder, config, BASE, None)
    if fingerprint(base, config["networks"]["size"]) != config["backbone"]["sha256"]:
        raise SnapshotError(f"{folder}: the {BASE} network is not the one that {CONFIG} tells of.")
    for model in config["models"]:
        yield model, base if model == BASE else _read(folder, config, model, base)


def read_network(folder: Path, config: Mapping[str, Any], model: str) -> State:
    """One model's network, as `read_networks` reads it."""
    base = _read(folder, config, BASE, None)
    return base if model == BASE else _read(folder, config, model, base)


def check_networks(folder: Path, config: Mapping[str, Any]) -> None:
    """Refuse a config.json that tells of networks that this version cannot read.

    Its fields have been checked, and that it lists the files it names is checked here.

    Raises:
        SnapshotError: naming what is wrong.
    """
    told = config["networks"]
    if told["format"] != FORMAT or told["base"] != BASE:
        way = printable(f"{told['format']} on {told['base']}")
        raise SnapshotError(
            f"{folder}: its networks are stored in a way that this version of FedMed does not "
            f"read: {way}."
        )
    try:
        check_size(told["size"], str(folder))
    except UserError as error:
        raise SnapshotError(str(error)) from error
    if len(config["models"]) > MOST:
        raise SnapshotError(f"{folder}: {CONFIG} names more than {MOST} networks.")
    for model, entry in config["models"].items():
        own = re.compile(rf"{_stem(model)}(-\d{{5}}-of-\d{{5}})?\.safetensors")
        files = entry.get("files", [])
        if files[:1] != [entry["file"]] or not all(
            own.fullmatch(name) and name in config["files"] for name in files
        ):
            raise SnapshotError(
                f"{folder}: {CONFIG} does not name the files of {model}, with a sha256 of each."
            )


def _read(folder: Path, config: Mapping[str, Any], model: str, base: State | None) -> State:
    paths = [folder / name for name in config["models"][model]["files"]]
    try:
        network, about = network_files.read(paths, base)
    except UserError as error:
        raise SnapshotError(str(error)) from error
    except Exception as error:  # safetensors, JSON and torch each have errors of their own
        kind = type(error).__name__
        raise SnapshotError(f"{folder}: the network of {model} is damaged ({kind}).") from error
    expected = config["networks"]["size"], None if base is None else config["backbone"]["sha256"]
    if about.model != model or (about.size, about.base) != expected:
        raise SnapshotError(
            f"{folder}: {printable(paths[0].name)} is not the network of {model}, or belongs to "
            f"another {BASE} one than {CONFIG} tells of."
        )
    return network


def _stem(model: str) -> str:
    return model_file(model).removesuffix(".safetensors")

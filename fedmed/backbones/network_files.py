"""Whole networks as files: `MODEL_model*.safetensors`, each shard under 9 MB, small by `quantized`.

A file's metadata says what it is, so that it is no other model's, size's or base's by mistake.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from fedmed.backbones.quantized import Base, decode
from fedmed.backbones.weights import SHARD_LIMIT, State, check_size
from fedmed.errors import UserError
from fedmed.files import parse, read_tensors

KEY = "network"  # of the metadata
TRUNK = "federated_model"  # begins the files of the network whose trunk serves as a backbone
MOST_SHARDS, SHARD_MEBIBYTES = 8, 16  # an FP32 network would have 43 MiB


class About(NamedTuple):
    """What a network's files say of it."""

    model: str
    size: int  # the side of its input
    base: str | None  # `fingerprint` of the network it is told by its difference to
    origin: dict[str, Any]  # where training began and what it was


def write(folder: Path, stem: str, stored: Mapping[str, Tensor], about: About) -> list[str]:
    """Write `encode`d tensors as STEM.safetensors, or as shards; returns the files' names."""
    # huggingface_hub's own save_torch_state_dict imports all of torch.distributed first.
    from huggingface_hub import split_state_dict_into_shards_factory
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    split = split_state_dict_into_shards_factory(
        dict(stored),
        get_storage_size=lambda tensor: tensor.nbytes,
        filename_pattern=f"{stem}{{suffix}}.safetensors",
        max_shard_size=SHARD_LIMIT,
    )
    # One entry: safetensors writes several in an order of chance.
    metadata = {KEY: json.dumps(about._asdict(), sort_keys=True)}
    for file, names in split.filename_to_tensors.items():
        save_file({name: stored[name].contiguous() for name in names}, folder / file, metadata)
    return sorted(split.filename_to_tensors)


def read(paths: Sequence[Path], base: Base = None) -> tuple[State, About]:
    """The FP32 network in its files, and what they say of it.

    `base` is the network that it is told by its difference to, if it is. That it is the right one
    is for the caller to see, by `About.base`.

    Raises:
        UserError: the files are missing, too large, or hold anything else.
    """
    where = f"{paths[0].parent}: {paths[0].name}" if paths else "a network without files"
    if not 0 < len(paths) <= MOST_SHARDS:
        raise UserError(f"{where}: a network has 1 to {MOST_SHARDS} files, not {len(paths)}.")
    stored: State = {}
    said: set[str] = set()
    for path in paths:
        if path.is_file() and path.stat().st_size > SHARD_MEBIBYTES * 2**20:
            raise UserError(f"{path} is larger than any file of a network is.")
        tensors, metadata = read_tensors(path)
        stored |= tensors
        said.add(metadata.get(KEY, ""))
    if len(said) > 1:
        raise UserError(f"{where} and its other shards are of different networks.")
    about = _about(said.pop(), where)
    if (about.base is None) != (base is None):
        kind = "a difference to another network" if about.base else "no difference to another"
        raise UserError(f"{where} is {kind}, unlike what was to be read.")
    return decode(stored, base, where), about


def trunk(folder: Path) -> tuple[State, dict[str, Any]] | None:
    """The federated network of a folder without its head, and its origin, for use as a backbone.

    None where the folder holds no whole federated network.

    Raises:
        UserError: as `read`.
    """
    paths = sorted(folder.glob(f"{TRUNK}*.safetensors"))
    if not paths or KEY not in read_tensors(paths[0])[1]:
        return None
    network, about = read(paths)
    state = {name: tensor for name, tensor in network.items() if not name.startswith("fc.")}
    began = about.origin.get("id", "unknown")
    origin = about.origin | {
        "id": f"federated-from-{began}",
        "source": f"the trunk of a federated network, trained end to end from {began}",
        "size": about.size,
    }
    return state, origin


def _about(text: str, where: str) -> About:
    try:
        found = About(**parse(text.encode("utf-8")))
    except (ValueError, TypeError) as error:
        raise UserError(f"{where} does not say of which network it is.") from error
    check_size(found.size, where)
    texts = [found.model, *([] if found.base is None else [found.base])]
    if not isinstance(found.origin, dict) or not all(
        isinstance(text, str)
        for text in [*texts, *(found.origin.get(name, "") for name in ("id", "source", "recipe"))]
    ):
        raise UserError(f"{where}: what it says of its network is no text.")
    return found

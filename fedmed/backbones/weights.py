"""A backbone's weights on disk: read, checked, written, told apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from fedmed.backbones.resnet18 import ResNet18
from fedmed.errors import UserError
from fedmed.files import parse, read_json, read_tensors
from fedmed.task import IMAGE_SIZE

SINGLE = "backbone.safetensors"
SHARD_LIMIT = "9MB"  # decimal: small enough for hosts that refuse larger plain files
MIN_SIZE = 32  # of an input: one cell of the last feature maps
State = dict[str, Tensor]


def read_state(path: Path) -> tuple[State, dict[str, Any]]:
    """Read a backbone and its origin from one file, or from a folder's `backbone*.safetensors`.

    Raises:
        UserError: the file or folder holds no complete ResNet18.
    """
    files, metadata = _files(path)
    state: State = {}
    for file in files:
        tensors, about = read_tensors(file)
        metadata |= about
        state |= tensors
    check_state(state, str(path))
    return state, {"id": f"file:{path.name}", "source": path.name} | _origin(metadata, path)


def _files(path: Path) -> tuple[list[Path], dict[str, Any]]:
    """The files of a backbone, and the metadata of their index: shards carry none of their own."""
    if not path.is_dir():
        return [path], {}
    files = sorted(path.glob("backbone*.safetensors"))
    if [file.name for file in files] == [SINGLE]:
        return files, {}
    index = path / f"{SINGLE}.index.json"
    try:
        content = read_json(index)
        named, metadata = sorted(set(content["weight_map"].values())), dict(content["metadata"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} holds no backbone: {SINGLE}, or its shards and {index.name}, are missing "
            "or damaged."
        ) from error
    if named != [file.name for file in files]:
        raise UserError(f"{path} does not hold the backbone files that {index.name} names.")
    return files, metadata


def _origin(metadata: Mapping[str, Any], path: Path) -> dict[str, Any]:
    try:
        origin = dict(parse(metadata.get("origin", "{}").encode("utf-8")))
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: what is said of the backbone's origin is no JSON.") from error
    if not all(isinstance(origin.get(name, ""), str) for name in ("id", "source", "recipe")):
        raise UserError(f"{path}: the id, source or recipe of the backbone's origin is no text.")
    check_size(origin.get("size", IMAGE_SIZE), str(path))
    return origin


def write_state(state: Mapping[str, Tensor], origin: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write weights and their origin as `backbone*.safetensors` (and an index where sharded).

    `state` is a backbone's: FP32, without the classifier. Returns the files written.
    """
    # huggingface_hub's own save_torch_state_dict imports all of torch.distributed first.
    from huggingface_hub import split_state_dict_into_shards_factory
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: _stored(tensor).contiguous() for name, tensor in state.items()}
    split = split_state_dict_into_shards_factory(
        tensors,
        get_storage_size=lambda tensor: tensor.nbytes,
        filename_pattern="backbone{suffix}.safetensors",
        max_shard_size=SHARD_LIMIT,
    )
    metadata = {"origin": json.dumps(dict(origin), sort_keys=True)}
    for file, names in split.filename_to_tensors.items():
        about = {"format": "pt"} if split.is_sharded else metadata
        save_file({name: tensors[name] for name in names}, folder / file, about)
    if split.is_sharded:
        index = {"metadata": metadata | split.metadata, "weight_map": split.tensor_to_filename}
        text = json.dumps(index, indent=2, sort_keys=True)
        (folder / f"{SINGLE}.index.json").write_text(text, encoding="utf-8")
    return sorted(folder.glob("backbone*"))


def check_state(state: Mapping[str, Tensor], where: str) -> None:
    """Refuse weights that are not exactly a ResNet18's (classifier aside), all finite, and
    variances below zero, from which no finite features come."""
    expected = {name: shape for name, shape in shapes().items() if _is_weight(name)}
    wrong = [name for name, shape in expected.items() if name not in state] + [
        name for name, shape in expected.items() if name in state and state[name].shape != shape
    ]
    if wrong:
        raise UserError(
            f"{where} is not a ResNet18 with torchvision's names: {wrong[0]} is missing or has "
            f"another shape ({len(wrong)} such tensors)."
        )
    # A ResNet34 has all of these, and more.
    surplus = sorted(name for name in state if _is_weight(name) and name not in expected)
    if surplus:
        raise UserError(
            f"{where} is not a ResNet18: it also holds {surplus[0]}, which no ResNet18 has."
        )
    if whole := [name for name in expected if not state[name].is_floating_point()]:
        raise UserError(f"{where} holds {state[whole[0]].dtype} in {whole[0]}, not fractions.")
    bad = [name for name in expected if not is_finite(state[name])]
    if bad:
        raise UserError(f"{where} holds numbers that are not finite, in {bad[0]}.")
    below = [name for name in expected if name.endswith("running_var") and state[name].min() < 0]
    if below:
        raise UserError(f"{where} holds variances below zero, in {below[0]}.")


def is_finite(tensor: Tensor) -> bool:
    """Whether all numbers are. One that is not makes the sum such, which is seen much sooner.

    A sum of large ones may overflow, so then each is asked.
    """
    return bool(tensor.sum().isfinite()) or bool(tensor.isfinite().all())


def check_size(size: object, where: str) -> None:
    """Refuse what is no side of an input that X-rays can be made smaller to."""
    if type(size) is not int or not MIN_SIZE <= size <= IMAGE_SIZE:
        raise UserError(
            f"{where}: the side of the network's input is {ascii(size)[:40]}, not a whole number "
            f"from {MIN_SIZE} to {IMAGE_SIZE}."
        )


def to_half_and_back(state: Mapping[str, Tensor]) -> State:
    """FP32 tensors rounded to what `write_state` stores, without the classifier."""
    return {
        name: _stored(tensor.detach().float()).float().contiguous()
        for name, tensor in state.items()
        if _is_weight(name)
    }


def fingerprint(state: Mapping[str, Tensor], size: int = IMAGE_SIZE) -> str:
    """sha256 over names and FP32 values: the same weights give the same digest however stored.

    `size` is the side of the input: the same weights see other things at another.
    """
    digest = hashlib.sha256()
    if size != IMAGE_SIZE:
        digest.update(f"size {size}\n".encode())
    for name in sorted(state):
        digest.update(name.encode())
        digest.update(state[name].float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _stored(tensor: Tensor) -> Tensor:
    # Normalisation statistics are few and can be tiny: they stay FP32.
    return tensor.half() if tensor.ndim == 4 else tensor


def _is_weight(name: str) -> bool:
    return not name.startswith("fc.") and not name.endswith("num_batches_tracked")


def empty_network() -> nn.Module:
    with torch.device("meta"):
        return ResNet18()


@cache
def shapes() -> Mapping[str, torch.Size]:
    """The shape of each tensor under torchvision's names, the classifier's aside."""
    found = {name: tensor.shape for name, tensor in empty_network().state_dict().items()}
    return MappingProxyType(found)

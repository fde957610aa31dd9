"""The frozen ResNet18: where its weights come from, and one pass through it.

Every backbone is held in weights that FP16 can express (normalisation layers stay FP32): half the
bytes to ship, and a snapshot's features are then exactly the ones its heads were trained on.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import socket
import sys
from collections.abc import Mapping
from functools import cached_property
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from fedmed.engine import Pass, pick
from fedmed.errors import UserError
from fedmed.json_file import is_text, parse, read_json
from fedmed.resnet18 import ResNet18

BUNDLED = Path(__file__).parent / "bundled"
IMAGENET = Path(__file__).parent / "backbones" / "imagenet"
SINGLE = "backbone.safetensors"
SHARD_LIMIT = "9MB"  # decimal: small enough for hosts that refuse larger plain files
PATIENCE_SECONDS = 30.0
NAMES = ("imagenet", "bundled", "torchvision")

State = dict[str, Tensor]


class Backbone:
    """A frozen ResNet18 without its classifier, in eval mode, ready for inference.

    `state` has torchvision's names, without `fc`. `origin` says where the weights came from:
    `id`, `source`, for some `licence` and what was `left_out`, and for a backbone of our own
    whether a public cohort trained it. `engine` is what passes run on. Threads may share it.
    """

    def __init__(
        self, state: Mapping[str, Tensor], origin: Mapping[str, Any], *, rounded: bool = True
    ) -> None:
        """`rounded=False` leaves FP32 weights as they are, for heads that never saw rounded ones.

        Raises:
            UserError: FEDMED_ENGINE names no engine.
        """
        self.state: State = to_half_and_back(state) if rounded else dict(state)
        self.origin = dict(origin)
        self.sha256 = fingerprint(self.state)
        self.engine = pick()
        self._at_once = 1

    @property
    def id(self) -> str:
        return str(self.origin["id"])

    @property
    def public_cohort(self) -> bool:
        """Whether patients of the public cohort trained it, and so may not be used again."""
        return bool(self.origin.get("public_cohort"))

    def to(self, device: str) -> Backbone:
        """Run passes on `cpu` or `cuda` from now on; inputs and maps stay on the CPU."""
        self.engine = pick(device)
        self.__dict__.pop("_run", None)
        return self

    def shared_by(self, threads: int) -> Backbone:
        """The same backbone, for passes by so many threads at once that divide the cores."""
        other = copy.copy(self)
        other._at_once = threads
        other.__dict__.pop("_run", None)
        return other

    def feature_maps(self, inputs: Tensor) -> Tensor:
        """Normalised images [n, 3, 224, 224] to the last feature maps [n, 512, 7, 7]."""
        return self._run(inputs)

    def features(self, inputs: Tensor) -> Tensor:
        """Normalised images [n, 3, 224, 224] to features [n, 512]: the maps' spatial mean."""
        return pool(self.feature_maps(inputs))

    @cached_property
    def _run(self) -> Pass:
        return self.engine.prepare(fused_layers(self.state), self._at_once)


def pool(maps: Tensor) -> Tensor:
    """The spatial mean of feature maps [n, 512, 7, 7], as [n, 512]."""
    return maps.mean(dim=(2, 3))


def load(name: str) -> Backbone:
    """Load one of NAMES, or the backbone in a safetensors file or snapshot folder.

    `imagenet` and `bundled` ship; `torchvision` is its ResNet18's V1 weights, fetched once.

    Raises:
        UserError: the weights are not there, cannot be fetched, or are no ResNet18.
    """
    if name == "torchvision":
        return _load_torchvision()
    path = {"imagenet": IMAGENET, "bundled": BUNDLED}.get(name) or Path(name)
    if not is_text(path.resolve().name):
        raise UserError(f"--backbone {name!a}: its name is not UTF-8; rename it.")
    if not os.path.exists(path):
        raise UserError(
            f"--backbone {name}: no such file. Use {', '.join(map(repr, NAMES))} or the path of "
            "a backbone written by `python -m fedmed.pretrain`."
        )
    backbone = Backbone(*read_state(path))
    check_state(backbone.state, f"--backbone {name}, rounded to FP16,")
    return backbone


def read_state(path: Path) -> tuple[State, dict[str, Any]]:
    """Read a backbone and its origin from one file, or from a folder's `backbone*.safetensors`.

    Raises:
        UserError: the file or folder holds no complete ResNet18.
    """
    from safetensors import SafetensorError, safe_open

    files, metadata = _files(path)
    state: State = {}
    for file in files:
        try:
            with safe_open(file, framework="pt") as opened:
                metadata |= opened.metadata() or {}
                state |= {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise UserError(f"{file} is not a readable safetensors file: {error}") from error
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
    return origin


def write_state(backbone: Backbone, folder: Path) -> list[Path]:
    """Write `backbone*.safetensors` (and an index where sharded) into a folder."""
    # huggingface_hub's own save_torch_state_dict imports all of torch.distributed first.
    from huggingface_hub import split_state_dict_into_shards_factory
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: _stored(tensor).contiguous() for name, tensor in backbone.state.items()}
    split = split_state_dict_into_shards_factory(
        tensors,
        get_storage_size=lambda tensor: tensor.nbytes,
        filename_pattern="backbone{suffix}.safetensors",
        max_shard_size=SHARD_LIMIT,
    )
    origin = {"origin": json.dumps(backbone.origin, sort_keys=True)}
    for file, names in split.filename_to_tensors.items():
        about = {"format": "pt"} if split.is_sharded else origin
        save_file({name: tensors[name] for name in names}, folder / file, about)
    if split.is_sharded:
        index = {"metadata": origin | split.metadata, "weight_map": split.tensor_to_filename}
        text = json.dumps(index, indent=2, sort_keys=True)
        (folder / f"{SINGLE}.index.json").write_text(text, encoding="utf-8")
    return sorted(folder.glob("backbone*"))


def check_state(state: Mapping[str, Tensor], where: str) -> None:
    """Refuse weights that are not exactly a ResNet18's (classifier aside), all finite, and
    variances below zero, from which no finite features come."""
    expected = {name: tensor.shape for name, tensor in _empty().state_dict().items()}
    expected = {name: shape for name, shape in expected.items() if _is_weight(name)}
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
    bad = [name for name in expected if not torch.isfinite(state[name].float()).all()]
    if bad:
        raise UserError(f"{where} holds numbers that are not finite, in {bad[0]}.")
    below = [name for name in expected if name.endswith("running_var") and state[name].min() < 0]
    if below:
        raise UserError(f"{where} holds variances below zero, in {below[0]}.")


def to_half_and_back(state: Mapping[str, Tensor]) -> State:
    """FP32 tensors rounded to what `write_state` stores, without the classifier."""
    return {
        name: _stored(tensor.detach().float()).float().contiguous()
        for name, tensor in state.items()
        if _is_weight(name)
    }


def fingerprint(state: Mapping[str, Tensor]) -> str:
    """sha256 over names and FP32 values: the same weights give the same digest however stored."""
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode())
        digest.update(state[name].float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _load_torchvision() -> Backbone:
    from torchvision.models import ResNet18_Weights

    weights = ResNet18_Weights.IMAGENET1K_V1
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE_SECONDS)  # torch.hub itself would wait for ever
    try:
        state = weights.get_state_dict(
            progress=sys.stderr.isatty(), check_hash=True, weights_only=True
        )
    except (OSError, HTTPException, RuntimeError, EOFError, UnpicklingError) as error:
        raise UserError(
            f"torchvision's weights could not be had from {weights.url} or {torch.hub.get_dir()} "
            f"({error}).\nWith a network they are fetched once and kept there; without one, use "
            "--backbone imagenet."
        ) from error
    finally:
        socket.setdefaulttimeout(before)
    return Backbone(
        state,
        {
            "id": "resnet18-imagenet1k-v1",
            "source": "torchvision ResNet18_Weights.IMAGENET1K_V1, rounded to FP16",
        },
    )


def _stored(tensor: Tensor) -> Tensor:
    # Normalisation statistics are few and can be tiny: they stay FP32.
    return tensor.half() if tensor.ndim == 4 else tensor


def _is_weight(name: str) -> bool:
    return not name.startswith("fc.") and not name.endswith("num_batches_tracked")


def _empty() -> nn.Module:
    with torch.device("meta"):
        return ResNet18()


def fused_layers(state: State) -> nn.Module:
    """ResNet18 up to its last feature map, normalisation folded into the convolutions.

    Folding makes a pass faster and changes features by rounding only.
    """
    network = _empty()
    network.load_state_dict(state, strict=False, assign=True)
    network.eval()
    for parent in list(network.modules()):
        for conv, norm in (("conv1", "bn1"), ("conv2", "bn2")):
            if isinstance(getattr(parent, norm, None), nn.BatchNorm2d):
                setattr(parent, conv, _fuse(getattr(parent, conv), getattr(parent, norm)))
                setattr(parent, norm, nn.Identity())
        downsample = getattr(parent, "downsample", None)
        if isinstance(downsample, nn.Sequential):
            parent.downsample = _fuse(*downsample)
    return network.requires_grad_(False)


def _fuse(conv: Any, norm: Any) -> nn.Module:
    return fuse_conv_bn_eval(conv, norm)

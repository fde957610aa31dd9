"""The frozen ResNet18: where its weights come from, and one pass through it.

Every backbone is held in weights that FP16 can express (normalisation layers stay FP32): half the
bytes to ship, and a snapshot's features are then exactly the ones its heads were trained on.
"""

from __future__ import annotations

import copy
import os
import socket
import sys
from collections.abc import Mapping
from functools import cached_property
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError
from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from fedmed.backbones.engine import Engine, Pass, pick
from fedmed.backbones.network_files import trunk
from fedmed.backbones.resnet18 import WIDTH
from fedmed.backbones.weights import (
    State,
    check_state,
    empty_network,
    fingerprint,
    read_state,
    to_half_and_back,
)
from fedmed.errors import UserError
from fedmed.files import is_text
from fedmed.imaging.preprocessing import resize
from fedmed.task import IMAGE_SIZE

# The snapshots that ship; their backbones serve others, too.
IMAGENET = Path(__file__).parents[1] / "bundled" / "imagenet"
NETWORK = Path(__file__).parents[1] / "bundled" / "network"
NAMES = ("imagenet", "bundled", "torchvision")
PATIENCE_SECONDS = 30.0
_PREPARING = Lock()


class Backbone:
    """A frozen ResNet18 without its classifier, in eval mode, ready for inference.

    `state` has torchvision's names, without `fc`. `origin` says where the weights came from:
    `id`, `source`, for some `licence` and what was `left_out`, the data set it was `trained_on`
    where it knows X-rays, and the `size` of its input where that is another than everybody's.
    `engine` is what passes run on. Threads may share it.
    """

    def __init__(
        self,
        state: Mapping[str, Tensor],
        origin: Mapping[str, Any],
        *,
        rounded: bool = True,
        size: int = IMAGE_SIZE,
    ) -> None:
        """`rounded=False` leaves FP32 weights as they are, for heads that never saw rounded ones.

        `size` is the side of the network's input: what images are made smaller to.

        Raises:
            UserError: FEDMED_ENGINE names no engine.
        """
        self.state: State = to_half_and_back(state) if rounded else dict(state)
        self.size = size
        self.origin = dict(origin) | ({} if size == IMAGE_SIZE else {"size": size})
        self.engine = pick()
        self._at_once = 1
        self._pass: Pass | None = None

    @cached_property
    def sha256(self) -> str:
        """What tells these weights, at this size, from all others: `fingerprint`."""
        return fingerprint(self.state, self.size)

    @property
    def id(self) -> str:
        return str(self.origin["id"])

    @property
    def width(self) -> int:
        """How many numbers an image's features are."""
        return WIDTH

    def knows(self, title: str) -> bool:
        """Whether X-rays of the data set with this title trained it."""
        return self.origin.get("trained_on") == title

    def to(self, device: str) -> Backbone:
        """Run passes on `cpu` or `cuda` from now on; inputs and maps stay on the CPU."""
        self.engine = pick(device)
        self._pass = None
        return self

    def on(self, engine: Engine) -> Backbone:
        """The same backbone on another engine."""
        other = copy.copy(self)
        other.engine = engine
        other._pass = None
        return other

    def shared_by(self, threads: int) -> Backbone:
        """The same backbone, for passes by so many threads at once that divide the cores."""
        if threads == self._at_once:
            return self  # what it has prepared, too
        other = copy.copy(self)
        other._at_once = threads
        other._pass = None
        return other

    def feature_maps(self, inputs: Tensor) -> Tensor:
        """Normalised images [n, 3, 224, 224] to the last feature maps [n, 512, 7, 7].

        At another `size` a map has a cell for each 32 pixels of it, rounded up.
        """
        return self._run(resize(inputs, self.size))

    def features(self, inputs: Tensor) -> Tensor:
        """Normalised images [n, 3, 224, 224] to features [n, 512]: the maps' spatial mean."""
        return pool(self.feature_maps(inputs))

    def ready(self) -> Pass:
        """A pass for images that were `resize`d to `size`, which keeps no copy of the weights.

        For whoever runs several networks and needs nothing else of them.
        """
        return self._run

    @property
    def _run(self) -> Pass:
        with _PREPARING:  # once, and not by several threads at once
            if self._pass is None:
                self._pass = self.engine.prepare(fused_layers(self.state), self.size, self._at_once)
            return self._pass


def pool(maps: Tensor) -> Tensor:
    """The spatial mean of feature maps [n, 512, h, w], as [n, 512]."""
    return maps.mean(dim=(2, 3))


def load(name: str) -> Backbone:
    """Load one of NAMES, or the backbone in a safetensors file or snapshot folder.

    `imagenet` ships, and so does `bundled`, the trunk of the federated network; `torchvision` is
    its ResNet18's V1 weights, fetched once.

    Raises:
        UserError: the weights are not there, cannot be fetched, or are no ResNet18.
    """
    if name == "torchvision":
        return _load_torchvision()
    path = {"imagenet": IMAGENET, "bundled": NETWORK}.get(name) or Path(name)
    if not is_text(path.resolve().name):
        raise UserError(f"--backbone {name!a}: its name is not UTF-8; rename it.")
    if not os.path.exists(path):
        raise UserError(
            f"--backbone {name}: no such file. Use {', '.join(map(repr, NAMES))} or the path of "
            "a snapshot, or of a backbone's file."
        )
    backbone = read(path)
    check_state(backbone.state, f"--backbone {name}, rounded to FP16,")
    return backbone


def read(path: Path) -> Backbone:
    """The backbone that a file or folder holds; of whole networks, the trunk of the federated one.

    Raises:
        UserError: as `read_state`.
    """
    found = trunk(path) if path.is_dir() and not any(path.glob("backbone*")) else None
    state, origin = found or read_state(path)
    return Backbone(state, origin, size=origin.get("size", IMAGE_SIZE))


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


def fused_layers(state: State) -> nn.Module:
    """ResNet18 up to its last feature map, normalisation folded into the convolutions.

    Folding makes a pass faster and changes features by rounding only.
    """
    network = empty_network()
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

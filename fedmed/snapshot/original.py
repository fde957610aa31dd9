"""A folder of the original project's models: one full ResNet18 `.pth` state dict each.

They were trained with their normalisation layers in training mode, so each has a backbone of its
own. No federated model and no report came with them; `federated_model.pth` is shown where present.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fedmed.backbones.backbone import Backbone
from fedmed.backbones.resnet18 import WIDTH
from fedmed.backbones.weights import check_state, fingerprint
from fedmed.errors import UserError
from fedmed.imaging.preprocessing import PREPROCESSING
from fedmed.snapshot.model_group import ModelGroup
from fedmed.task import CLASSES, model_title
from fedmed.training.heads import Heads, stack

MAX_MEBIBYTES = 128  # a ResNet18 in FP32 has 43
WRAPPERS = ("state_dict", "model_state_dict")
PREFIX = "model."
HEAD = {"fc.weight": (len(CLASSES), WIDTH), "fc.bias": (len(CLASSES),)}
EXPECTED = "Expected: the state dict of torchvision's resnet18 with two classes."


class Original:
    """The models of one folder, as far as they can stand in for a snapshot.

    Raises:
        UserError: naming the file that is missing or is not what it should be.
    """

    report: None = None
    examples: tuple[()] = ()

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        paths = model_paths(folder)
        if "central" not in paths or "hospital_1" not in paths:
            raise UserError(
                f"{folder} must hold central_model.pth and client_1_model.pth, client_2_model.pth "
                "... to be opened as a folder of the original project's models."
            )
        self.groups: list[ModelGroup] = []
        for model, path in paths.items():
            self._add(model, path)
        self.config = _config(folder, paths, [group.backbone for group in self.groups])

    @property
    def models(self) -> list[str]:
        """`central`, `federated` where present, `hospital_1` ..., in the order they are shown."""
        return list(self.config["models"])

    def _add(self, model: str, path: Path) -> None:
        """Put a model beside those with the same backbone, so that they share its pass."""
        state = read_model(path)
        head = Heads(state.pop("fc.weight")[None], state.pop("fc.bias")[None])
        sha256 = fingerprint(state)
        for place, group in enumerate(self.groups):
            if group.backbone.sha256 == sha256:
                heads = stack([group.heads, head])
                self.groups[place] = ModelGroup([*group.models, model], group.backbone, heads)
                return
        origin = {"id": f"file:{path.name}", "source": path.name}
        backbone = Backbone(state, origin, rounded=False)  # what this head was trained on
        self.groups.append(ModelGroup([model], backbone, head))


def is_original(folder: Path) -> bool:
    """Whether a folder looks like the original project's rather than like a snapshot."""
    return (folder / "central_model.pth").is_file() and not (folder / "config.json").exists()


def model_paths(folder: Path) -> dict[str, Path]:
    """The model files in a folder, by model, in the order models are shown."""
    named = {"central": "central_model.pth", "federated": "federated_model.pth"}
    found = {model: folder / name for model, name in named.items() if (folder / name).is_file()}
    clients = {
        int(match[1]): path
        for path in folder.glob("client_*_model.pth")
        if (match := re.fullmatch(r"client_([1-9]\d{0,3})_model\.pth", path.name))
        and path.is_file()
    }
    return found | {f"hospital_{number}": clients[number] for number in sorted(clients)}


def read_model(path: Path) -> dict[str, Tensor]:
    """Read one model under torchvision's names: its backbone, `fc.weight` and `fc.bias`, FP32.

    Raises:
        UserError: the file is too large, no state dict, or not a ResNet18 of two classes.
    """
    state = _tensors(_load(path), path)
    head = {name: state.pop(name) for name in list(state) if name.startswith("fc.")}
    shapes = {name: tuple(tensor.shape) for name, tensor in head.items()}
    if shapes != HEAD:
        raise UserError(
            f"{path.name}: the last layer has the shapes {shapes}, not {HEAD}. {EXPECTED}"
        )
    check_state(state, path.name)
    if not all(torch.isfinite(tensor.float()).all() for tensor in head.values()):
        raise UserError(f"{path.name} holds numbers that are not finite, in its last layer.")
    return {name: tensor.float().contiguous() for name, tensor in (state | head).items()}


def _load(path: Path) -> Any:
    try:
        size = path.stat().st_size
        if zipfile.is_zipfile(path):  # what torch.save writes; its entries could be compressed
            with zipfile.ZipFile(path) as archive:
                size = max(size, sum(entry.file_size for entry in archive.infolist()))
        if size <= MAX_MEBIBYTES * 2**20:
            return torch.load(path, map_location="cpu", weights_only=True)
    # A file that is no state dict makes the unpickler raise almost anything.
    except Exception as error:
        raise UserError(f"{path.name} can't be read as a state dict. {EXPECTED}") from error
    raise UserError(f"{path.name} has {size / 2**20:.0f} MiB; the limit is {MAX_MEBIBYTES} MiB.")


def _tensors(content: Any, path: Path) -> dict[str, Tensor]:
    """The named tensors of a state dict, wrapped or not, without prefix and step counters."""
    if isinstance(content, Mapping):
        content = next((content[key] for key in WRAPPERS if key in content), content)
    if not isinstance(content, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()
    ):
        raise UserError(f"{path.name} is not a state dict. {EXPECTED}")
    return {
        name.removeprefix(PREFIX): tensor
        for name, tensor in content.items()
        if not name.endswith("num_batches_tracked")
    }


def _config(folder: Path, paths: Mapping[str, Path], backbones: list[Backbone]) -> dict[str, Any]:
    """What a snapshot's config.json would say, as far as it is known."""
    return {
        "classes": list(CLASSES),
        "preprocessing": PREPROCESSING,
        "backbone": {
            "id": "original",
            "source": f"{len(backbones)} different backbones in {len(paths)} files",
            "sha256": backbones[0].sha256 if len(backbones) == 1 else None,
        },
        "models": {
            model: {
                "file": path.name,
                "title": model_title(model),
                "threshold": {"value": 0.5, "rule": "fixed at 0.5"},
                "training": None,
            }
            for model, path in paths.items()
        },
    }

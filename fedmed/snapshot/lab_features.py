"""lab.safetensors: features of a snapshot's X-rays, to run federations on in the browser.

Only of X-rays that are public or of nobody, or whose owner asked for it: features are data.
Patients are numbers that nobody outside knows, and a feature is 8 bits and a step that all X-rays
share.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fedmed.backbones.resnet18 import WIDTH
from fedmed.data.cohort import Xray, labels, patients
from fedmed.errors import UserError
from fedmed.files import read_tensors, write_atomically
from fedmed.task import CLASSES

NAME = "lab.safetensors"
MOST_BYTES = 8_000_000  # of the file
MOST_VIEWS = 2
HEADER_BYTES = 8192
LEVELS = 255

_TYPES = {
    "training.views": torch.uint8,  # [V, n, 512]: of every image, V views
    "training.labels": torch.uint8,
    "training.patients": torch.int32,
    "validation.features": torch.uint8,  # [m, 512]: clean
    "validation.labels": torch.uint8,
    "validation.patients": torch.int32,
    "step": torch.float32,  # [512]: what one level of each feature stands for
    "centre": torch.float64,  # [512]: of simulated X-rays, for privacy
    "radius": torch.float64,  # []
}


class NoLabError(UserError):
    """A file that holds no features to federate on."""


@dataclass(frozen=True)
class Dealable:
    """Whose X-rays there are, without their features: enough to deal them to hospitals."""

    labels: np.ndarray  # [n] int64
    patients: np.ndarray  # [n] int64: numbers, made anonymous


@dataclass(frozen=True, eq=False)
class LabFeatures:
    """What lab.safetensors holds, as it is computed with."""

    views: Tensor  # [V, n, 512] float32: training X-rays
    training: Dealable
    features: Tensor  # [m, 512] float32: validation X-rays, clean
    validation: Dealable
    centre: Tensor  # [512] float64
    radius: float


def write(
    folder: Path,
    *,
    views: Sequence[Tensor],
    training: Sequence[Xray],
    features: Tensor,
    held_out: Sequence[Xray],
    centre: Tensor,
    radius: float,
    backbone: Mapping[str, str],
    source: str,
) -> Path:
    """Write the file into `folder` and return its path.

    `views` are features [n, 512] of the training X-rays, of which the first two are kept;
    `features` [m, 512] of those held out. Where all would take more than MOST_BYTES, as many
    patients of both as fit are kept.
    """
    views = views[:MOST_VIEWS]
    row = WIDTH * len(views) + 5, WIDTH + 5
    room = MOST_BYTES - HEADER_BYTES - 20 * WIDTH
    share = min(1.0, room / (row[0] * len(training) + row[1] * len(held_out)))
    kept, kept_out = (_some(xrays, share) for xrays in (training, held_out))
    chosen = torch.stack([view[kept] for view in views])
    scored = features[kept_out]
    step = torch.maximum(chosen.amax((0, 1)), scored.amax(0)).clamp_min(1e-6) / LEVELS
    tensors = {
        "training.views": _levels(chosen, step),
        **_of_whom("training", [training[place] for place in kept.tolist()]),
        "validation.features": _levels(scored, step),
        **_of_whom("validation", [held_out[place] for place in kept_out.tolist()]),
        "step": step,
        "centre": centre.double(),
        "radius": torch.tensor(radius, dtype=torch.float64),
    }
    from safetensors.torch import save

    metadata = {"backbone": json.dumps(dict(backbone)), "source": source}
    path = folder / NAME
    write_atomically(path, save(tensors, metadata))
    return path


def read(folder: Path, backbone: str | None = None) -> LabFeatures:
    """Read the file in `folder`, made on the backbone of that sha256 where one is given.

    Raises:
        NoLabError: there is none, or not one that can be federated on.
    """
    stored = _checked(folder, backbone)
    step = stored["step"]
    return LabFeatures(
        views=stored["training.views"].float() * step,
        training=_dealable(stored, "training"),
        features=stored["validation.features"].float() * step,
        validation=_dealable(stored, "validation"),
        centre=stored["centre"],
        radius=float(stored["radius"]),
    )


def read_dealable(folder: Path) -> Dealable:
    """Read only whose training X-rays there are.

    Raises:
        NoLabError: as `read`.
    """
    return _dealable(_checked(folder, None), "training")


def _some(xrays: Sequence[Xray], share: float) -> Tensor:
    """The places of the X-rays that are kept, a patient's together; patients in no known order.

    The order is that of their files' digests: it tells nothing to whoever has not got the files.
    """
    first: dict[str, str] = {}
    for name, xray in zip(patients(xrays), xrays, strict=True):
        first[name] = min(xray.digest, first.get(name, xray.digest))
    order = sorted(range(len(xrays)), key=lambda i: (first[xrays[i].patient], xrays[i].digest))
    count = int(share * len(xrays))
    while 0 < count < len(order) and xrays[order[count]].patient == xrays[order[count - 1]].patient:
        count -= 1
    return torch.tensor(order[:count])


def _of_whom(group: str, xrays: Sequence[Xray]) -> dict[str, Tensor]:
    numbers = {name: place for place, name in enumerate(dict.fromkeys(patients(xrays)))}
    return {
        f"{group}.labels": torch.tensor(labels(xrays), dtype=torch.uint8),
        f"{group}.patients": torch.tensor(
            [numbers[name] for name in patients(xrays)], dtype=torch.int32
        ),
    }


def _levels(features: Tensor, step: Tensor) -> Tensor:
    return (features / step).round().clamp(0, LEVELS).to(torch.uint8)


def _dealable(stored: Mapping[str, Tensor], group: str) -> Dealable:
    found = (stored[f"{group}.{name}"].numpy().astype(np.int64) for name in ("labels", "patients"))
    return Dealable(*found)


def _checked(folder: Path, backbone: str | None) -> dict[str, Tensor]:
    path = folder / NAME
    where = f"{NAME} of this snapshot"
    if not path.is_file():
        raise NoLabError("This snapshot came without features to federate on.")
    if path.stat().st_size > MOST_BYTES:
        raise NoLabError(f"{where} is larger than {MOST_BYTES // 10**6} MB.")
    try:
        stored, metadata = read_tensors(path)
        belongs = json.loads(metadata["backbone"])["sha256"]
    except Exception as error:  # safetensors, JSON and torch each have errors of their own
        raise NoLabError(f"{where} is damaged ({type(error).__name__}).") from error
    if backbone is not None and belongs != backbone:
        raise NoLabError(f"{where} belongs to another backbone.")
    types = {name: tensor.dtype for name, tensor in stored.items()}
    if types != _TYPES or not _shapes_fit(stored):
        raise NoLabError(f"{where} holds other tensors than it should.")
    if fault := _fault(stored):
        raise NoLabError(f"{where} {fault}.")
    return stored


def _shapes_fit(stored: Mapping[str, Tensor]) -> bool:
    count = stored["training.labels"].numel()
    held_out = stored["validation.labels"].numel()
    of_views = stored["training.views"].shape
    if len(of_views) != 3 or not 1 <= of_views[0] <= MOST_VIEWS:
        return False
    wanted = {
        "training.views": (of_views[0], count, WIDTH),
        "training.labels": (count,),
        "training.patients": (count,),
        "validation.features": (held_out, WIDTH),
        "validation.labels": (held_out,),
        "validation.patients": (held_out,),
        "step": (WIDTH,),
        "centre": (WIDTH,),
        "radius": (),
    }
    return all(tuple(stored[name].shape) == shape for name, shape in wanted.items())


def _fault(stored: Mapping[str, Tensor]) -> str | None:
    numbers = torch.cat([stored[name].double().flatten() for name in ("step", "centre", "radius")])
    if not bool((numbers.abs() < 1e6).all()):  # NaN is not either
        return "holds numbers that are not finite or too large"
    if float(stored["step"].min()) < 0 or float(stored["radius"]) <= 0:
        return "holds a step or a radius below 0"
    for group in ("training", "validation"):
        if set(stored[f"{group}.labels"].tolist()) != set(range(len(CLASSES))):
            return f"lacks a class among its {group} X-rays, or has labels of none"
        if int(stored[f"{group}.patients"].min()) < 0:
            return "has a patient of a number below 0"
    return None

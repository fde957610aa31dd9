"""Which way up a chest radiograph is, and from which side it was taken.

Softmax regression on the coarse layout of dark and bright. It learns from the run's own training
X-rays, turned, and from simulated ones from the front and from the side; what is kept fits into
four kilobytes. Laterals cannot be learned from a data set that has none.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fedmed.errors import UserError
from fedmed.files import read_tensors
from fedmed.imaging.preprocessing import to_grey
from fedmed.inference.layout import GRID, degraded, layout, turned
from fedmed.parallel import on_one_core

FILE = "views.safetensors"
VIEWS = ("upright", "upside down", "on its side", "lateral")
# Of held-out X-rays, so many in a thousand may seem to be no upright frontal one.
PER_MILLE = 5
STEPS, DECAY = 100, 1e-4

# How pictures of each view are made of upright frontal ones: quarter turns, and whether mirrored.
_UPRIGHT = ((0, False), (0, True))
_UPSIDE_DOWN = ((2, False), (2, True))
_ON_ITS_SIDE = ((1, False), (3, False), (1, True), (3, True))


class ViewDetector(NamedTuple):
    """Softmax regression from layouts to VIEWS."""

    weight: Tensor  # [4, GRID²]
    bias: Tensor  # [4]
    limit: Tensor  # []: below it, the probability of `upright` is a warning

    @classmethod
    def load(cls, path: Path) -> ViewDetector:
        """Read what `save` wrote.

        Raises:
            UserError: the file holds something else.
        """
        tensors, metadata = read_tensors(path)
        try:
            found = cls(*(tensors[name] for name in cls._fields))
            views = tuple(json.loads(metadata["views"]))
        except (KeyError, ValueError, TypeError, RecursionError) as error:
            raise UserError(f"{path} holds no detector of views: {error!r}") from error
        shapes = [tuple(part.shape) for part in found]
        finite = all(p.dtype == torch.float32 and bool(p.isfinite().all()) for p in found)
        if shapes != [(len(VIEWS), GRID**2), (len(VIEWS),), ()] or views != VIEWS or not finite:
            raise UserError(f"{path} holds a detector of another kind.")
        return found

    def probabilities(self, pixels: np.ndarray) -> Tensor:
        """uint8 [n, 224, 224] to the probability of each of VIEWS, [n, 4]."""
        return torch.softmax(layout(to_grey(pixels)) @ self.weight.T + self.bias, 1)

    def view(self, pixels: np.ndarray) -> str:
        """Which of VIEWS uint8 [224, 224] seems to be; upright unless that is unlikely."""
        found = self.probabilities(pixels[None])[0]
        if found[0] >= self.limit:
            return VIEWS[0]
        return VIEWS[1 + int(found[1:].argmax())]


def find(folder: Path) -> ViewDetector | None:
    """The detector in a snapshot's folder; None where it was made without.

    Raises:
        UserError: as `ViewDetector.load`.
    """
    path = folder / FILE
    return ViewDetector.load(path) if path.exists() else None


def fit(
    pixels: np.ndarray,
    validation_pixels: np.ndarray,
    simulated: np.ndarray,
    laterals: np.ndarray,
) -> dict[str, Tensor]:
    """The detector to keep in a snapshot.

    All in 0..255, [n, 224, 224] or thumbnails [n, 56, 56]: training X-rays, held-out ones, on which
    the limit is set, and `simulated` ones from the front (none, where the others are) and from the
    side.
    """
    return on_one_core(lambda: _fit(pixels, validation_pixels, simulated, laterals))


def _fit(
    pixels: np.ndarray,
    validation_pixels: np.ndarray,
    simulated: np.ndarray,
    laterals: np.ndarray,
) -> dict[str, Tensor]:
    frontal = torch.cat([_layouts(pixels), _layouts(simulated)])
    lateral = _layouts(laterals)
    parts = [
        _ways(frontal, _UPRIGHT),
        _ways(frontal, _UPSIDE_DOWN),
        _ways(frontal, _ON_ITS_SIDE),
        _ways(lateral, _UPRIGHT + _UPSIDE_DOWN + _ON_ITS_SIDE),
    ]
    labels = torch.cat([torch.full((len(part),), view) for view, part in enumerate(parts)])
    weight, bias = _regression(torch.cat(parts).double(), labels)
    detector = ViewDetector(weight.float(), bias.float(), torch.zeros(()))
    upright = detector.probabilities(validation_pixels)[:, 0]
    limit = torch.quantile(upright, PER_MILLE / 1000).clamp_max(0.5)
    return detector._replace(limit=limit)._asdict()


def save(detector: dict[str, Tensor], folder: Path) -> None:
    """Write what `fit` made into a snapshot's folder."""
    from safetensors.torch import save_file

    save_file(detector, folder / FILE, {"views": json.dumps(VIEWS)})


def _layouts(pixels: np.ndarray) -> Tensor:
    """Of pictures as they are and degraded in two ways, [3 n, GRID²]."""
    if not len(pixels):
        return torch.zeros(0, GRID**2)
    grey = to_grey(pixels)
    return torch.cat([layout(grey), layout(degraded(grey, 1)), layout(degraded(grey, 2))])


def _ways(layouts: Tensor, ways: tuple[tuple[int, bool], ...]) -> Tensor:
    return torch.cat([turned(layouts, quarters, mirrored) for quarters, mirrored in ways])


def _regression(points: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Weight [4, d] and bias [4] of softmax regression, each class weighing the same."""
    from scipy.optimize import minimize  # here: who only looks at pictures needs no scipy

    mean = points.mean(0)
    scale = points.std(0).clamp_min(1e-3) * points.shape[1] ** 0.5
    points = (points - mean) / scale
    counts = torch.bincount(labels, minlength=len(VIEWS)).double()
    weights = counts.sum() / counts.clamp_min(1)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        theta = torch.tensor(flat).view(len(VIEWS), -1).requires_grad_()
        matrix, bias = theta[:, :-1], theta[:, -1]
        found = F.cross_entropy(points @ matrix.T + bias, labels, weight=weights)
        found = found + DECAY * matrix.square().sum()
        (gradient,) = torch.autograd.grad(found, theta)
        return found.item(), gradient.flatten().numpy()

    # PyTorch's own takes seconds before its first step: it imports a compiler.
    nothing = np.zeros(len(VIEWS) * (points.shape[1] + 1))
    found = minimize(loss, nothing, jac=True, method="L-BFGS-B", options={"maxiter": STEPS})
    theta = torch.from_numpy(found.x).view(len(VIEWS), -1)
    weight = theta[:, :-1] / scale
    return weight, theta[:, -1] - weight @ mean

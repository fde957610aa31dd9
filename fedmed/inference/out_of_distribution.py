"""Warn about pictures unlike the X-rays that the models were trained on.

Two Gaussians of few axes (probabilistic PCA; Tipping & Bishop, J. R. Stat. Soc. B 61, 1999), one
over the backbone's features and one over the coarse layout of dark and bright, are fitted to
training images and kept in the snapshot. A picture further out than nearly all held-out X-rays is
warned about. Features alone miss what the backbone never learned to see; the layout alone misses
texture. Means and covariances are sums over images: hospitals could share them as they do weights.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fedmed.backbones.resnet18 import WIDTH
from fedmed.errors import UserError
from fedmed.files import read_tensors
from fedmed.imaging.augmentation import DEGRADE_DRAWS, degrade
from fedmed.imaging.preprocessing import to_grey

T = TypeVar("T")

FILE = "outliers.safetensors"
GRID = 14  # the layout has GRID x GRID cells
AXES = {"features": 64, "layout": 24}
# Two scores, so that together they pass some 99 % of held-out X-rays. These come from the archive
# that was trained on and uploads do not, hence a margin, by which simulated films pass too.
QUANTILE, MARGIN = 0.995, 1.2
SAMPLE = 1000
FLAT, COLOURED = 8.0, 10.0  # grey levels of 255; no radiograph seen so far comes near either

ONE_SHADE = "The picture is almost one single shade: there is nothing on it to judge."
IN_COLOUR = "The picture is in colour, as no X-ray is: the answers mean nothing for a photograph."
UNLIKE = (
    "The picture does not look like the X-rays that the models were trained on, upright frontal "
    "chest radiographs: the answers may mean nothing."
)


class Gaussian(NamedTuple):
    """A Gaussian with k axes of their own variance, and one variance for all the others."""

    mean: Tensor  # [d]
    axes: Tensor  # [k, d], orthonormal
    variances: Tensor  # [k]
    rest: Tensor  # []
    limit: Tensor  # []: the squared Mahalanobis distance that held-out X-rays hardly pass

    def fits(self, size: int) -> bool:
        """Whether it is a Gaussian of d = `size`, of finite FP32 numbers."""
        axes = self.variances.numel()
        shapes = [(size,), (axes, size), (axes,), (), ()]
        return [tuple(part.shape) for part in self] == shapes and all(
            part.dtype == torch.float32 and bool(torch.isfinite(part).all()) for part in self
        )

    def score(self, points: Tensor) -> Tensor:
        """How far out [n, d] lie, as [n]: the squared Mahalanobis distance over the limit."""
        centred = points - self.mean
        along = centred @ self.axes.T
        across = (centred.square().sum(1) - along.square().sum(1)).clamp_min(0)
        return ((along.square() / self.variances).sum(1) + across / self.rest) / self.limit


class ReferenceStatistics(NamedTuple):
    """What training images look like."""

    features: Gaussian
    layout: Gaussian

    @classmethod
    def load(cls, path: Path) -> ReferenceStatistics:
        """Read what `save` wrote.

        Raises:
            UserError: the file holds something else.
        """
        tensors, _ = read_tensors(path)
        try:
            found = cls(*(_take(tensors, part) for part in cls._fields))
        except KeyError as error:
            raise UserError(f"{path} holds no statistics of training images: {error!r}") from error
        if not (found.features.fits(WIDTH) and found.layout.fits(GRID**2)):
            raise UserError(f"{path} holds statistics of another kind.")
        return found

    def score(self, features: Tensor, pixels: np.ndarray) -> dict[str, Tensor]:
        """Features [n, 512] and uint8 [n, 224, 224] to a score [n] for each; above 1 is far out."""
        return {
            "features": self.features.score(features),
            "layout": self.layout.score(layout(to_grey(pixels))),
        }


def find(folder: Path) -> ReferenceStatistics | None:
    """The statistics in a snapshot's folder; None where it was made without.

    Raises:
        UserError: as `ReferenceStatistics.load`.
    """
    path = folder / FILE
    return ReferenceStatistics.load(path) if path.exists() else None


def fit(
    features: Tensor,
    validation_features: Tensor,
    pixels: np.ndarray,
    validation_pixels: np.ndarray,
) -> dict[str, Tensor]:
    """Statistics to keep in a snapshot, of training images, with limits set on held-out ones.

    `features` [n, 512] are of all kinds of views that heads are trained on, `validation_features`
    of clean ones. `pixels` [m, 224, 224] uint8 may be of a `sample` of the images.
    """
    tensors: dict[str, Tensor] = {}
    grey = to_grey(pixels)
    layouts = torch.cat([layout(grey), layout(_degraded(grey))])
    held_out = layout(to_grey(validation_pixels))
    for part, training, validation in (
        ("features", features, validation_features),
        ("layout", layouts, held_out),
    ):
        fitted = _fit(training.double(), AXES[part])
        limit = MARGIN * torch.quantile(fitted.score(validation.double()), QUANTILE)
        for name, tensor in fitted._replace(limit=limit)._asdict().items():
            tensors[f"{part}.{name}"] = tensor.float().contiguous()
    return tensors


def sample(xrays: Sequence[T]) -> list[T]:
    """Images evenly spaced among all, at most SAMPLE: enough for `pixels`."""
    return list(xrays[:: -(-len(xrays) // SAMPLE) or 1])


def save(statistics: dict[str, Tensor], folder: Path) -> None:
    """Write what `fit` made into a snapshot's folder."""
    from safetensors.torch import save_file

    # One entry: safetensors writes several in an order of chance.
    limit = json.dumps({"quantile": QUANTILE, "margin": MARGIN})
    save_file(statistics, folder / FILE, {"limit": limit})


def layout(grey: Tensor) -> Tensor:
    """The coarse layout [n, GRID²] of images [n, 1, h, w] in 0..1, whatever their exposure."""
    cells = F.adaptive_avg_pool2d(grey, GRID).flatten(1)
    contrast = cells.std(1, keepdim=True) + 0.03  # or a flat picture's noise would be its layout
    return (cells - cells.mean(1, keepdim=True)) / contrast


def warnings(
    pixels: np.ndarray, features: Tensor, reference: ReferenceStatistics | None, colour: float = 0.0
) -> list[str]:
    """What a visitor should know about uint8 pixels [224, 224] with features [512].

    Without statistics of training images (`reference`), the pixels and `colour` alone are judged.
    """
    if float(pixels.std()) < FLAT:
        return [ONE_SHADE]
    told = [IN_COLOUR] if colour > COLOURED else []
    if reference is not None:
        scores = reference.score(features[None], pixels[None])
        if max(float(score) for score in scores.values()) > 1:
            told.append(UNLIKE)
    return told


def _fit(points: Tensor, axes: int) -> Gaussian:
    centred = points - points.mean(0)
    variances, directions = torch.linalg.eigh(centred.T @ centred / len(points))
    total = variances.mean()
    axes = min(axes, len(points) - 1)
    # A floor: of a few images, or where a feature never varies, most variances come out as 0.
    rest = variances[:-axes].mean().clamp_min(1e-3 * total)
    return Gaussian(
        mean=points.mean(0),
        axes=directions[:, -axes:].T,
        variances=variances[-axes:].clamp_min(float(rest)),
        rest=rest,
        limit=torch.ones((), dtype=points.dtype),
    )


def _degraded(grey: Tensor) -> Tensor:
    """One degraded view of each image, small: photographs of films are to pass."""
    small = F.interpolate(grey, 4 * GRID, mode="area")
    generator = torch.Generator().manual_seed(0)
    draws = torch.rand(len(small), DEGRADE_DRAWS, generator=generator)
    return degrade(small, draws, torch.randn(small.shape, generator=generator))


def _take(tensors: dict[str, Tensor], part: str) -> Gaussian:
    return Gaussian(*(tensors[f"{part}.{name}"] for name in Gaussian._fields))

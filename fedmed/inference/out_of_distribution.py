"""What training images look like, to tell pictures that look otherwise.

Two Gaussians of few axes, one over the roots of one network's features and one over the coarse
layout of dark and bright, are fitted to training images and kept in the snapshot. A picture further
out than nearly all held-out X-rays is warned about. Features alone miss what the network never
learned to see; the layout alone misses texture. Means and covariances are sums over images:
hospitals could share them as they do weights.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from fedmed.backbones.resnet18 import WIDTH
from fedmed.errors import UserError
from fedmed.files import read_tensors
from fedmed.imaging.preprocessing import to_grey
from fedmed.inference.gaussian import Gaussian
from fedmed.inference.layout import GRID, degraded, layout
from fedmed.parallel import on_one_core

T = TypeVar("T")

FILE = "outliers.safetensors"
AXES = {"roots": 64, "layout": 24}
# Of each score, the quantile of held-out X-rays that is let pass, and a margin: these come from the
# archive that was trained on, and uploads do not. Features are strict, for adults' films pass else.
LIMITS = {"roots": (0.99, 1.0), "layout": (0.995, 1.2)}
SAMPLE = 1000


class ReferenceStatistics(NamedTuple):
    """What training images look like."""

    features: Gaussian
    layout: Gaussian
    of_roots: bool = True  # whether `features` is of the features' square roots

    @classmethod
    def load(cls, path: Path) -> ReferenceStatistics:
        """Read what `save` wrote, or did when features were taken as they are.

        Raises:
            UserError: the file holds something else.
        """
        tensors, _ = read_tensors(path)
        of_roots = "roots.mean" in tensors
        try:
            found = cls(
                _take(tensors, "roots" if of_roots else "features"),
                _take(tensors, "layout"),
                of_roots,
            )
        except KeyError as error:
            raise UserError(f"{path} holds no statistics of training images: {error!r}") from error
        if not (found.features.fits(WIDTH) and found.layout.fits(GRID**2)):
            raise UserError(f"{path} holds statistics of another kind.")
        return found

    def score(self, features: Tensor, pixels: np.ndarray) -> dict[str, Tensor]:
        """Features [n, 512] and uint8 [n, 224, 224] to a score [n] for each; above 1 is far out."""
        return {
            "features": self.features.score(roots(features) if self.of_roots else features),
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
    of clean ones. All may be of a `sample` of the images; pixels are in 0..255, [m, 224, 224] or
    thumbnails [m, 56, 56].
    """
    return on_one_core(lambda: _fit(features, validation_features, pixels, validation_pixels))


def _fit(
    features: Tensor,
    validation_features: Tensor,
    pixels: np.ndarray,
    validation_pixels: np.ndarray,
) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    grey = to_grey(pixels)
    layouts = torch.cat([layout(grey), layout(degraded(grey))])
    held_out = layout(to_grey(validation_pixels))
    for part, training, validation in (
        ("roots", roots(features), roots(validation_features)),
        ("layout", layouts, held_out),
    ):
        fitted = Gaussian.fit(training.double(), AXES[part])
        quantile, margin = LIMITS[part]
        margin += 4 / len(validation)  # few held-out X-rays tell little of the rare ones
        limit = margin * torch.quantile(fitted.score(validation.double()), quantile)
        for name, tensor in fitted._replace(limit=limit)._asdict().items():
            tensors[f"{part}.{name}"] = tensor.float().contiguous()
    return tensors


def roots(features: Tensor) -> Tensor:
    """Features' square roots: means of what a network's last layer lets pass are never below 0, and
    so skewed that no Gaussian is like them."""
    return features.clamp_min(0).sqrt()


def sample(xrays: Sequence[T]) -> Sequence[T]:
    """Images evenly spaced among all, at most SAMPLE: enough to fit to."""
    return xrays[:: -(-len(xrays) // SAMPLE) or 1]


def save(statistics: dict[str, Tensor], folder: Path) -> None:
    """Write what `fit` made into a snapshot's folder."""
    from safetensors.torch import save_file

    # One entry: safetensors writes several in an order of chance.
    save_file(statistics, folder / FILE, {"limits": json.dumps(LIMITS)})


def _take(tensors: dict[str, Tensor], part: str) -> Gaussian:
    return Gaussian(*(tensors[f"{part}.{name}"] for name in Gaussian._fields))

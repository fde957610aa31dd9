"""A Gaussian of few axes: how far out a point lies.

M. E. Tipping, C. M. Bishop: Probabilistic Principal Component Analysis. J. R. Statist. Soc. B 61,
1999.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Gaussian(NamedTuple):
    """A Gaussian with k axes of their own variance, and one variance for all the others."""

    mean: Tensor  # [d]
    axes: Tensor  # [k, d], orthonormal
    variances: Tensor  # [k]
    rest: Tensor  # []
    limit: Tensor  # []: the squared Mahalanobis distance that held-out X-rays hardly pass

    @classmethod
    def fit(cls, points: Tensor, axes: int) -> Gaussian:
        """The Gaussian of points [n, d]; its limit is 1."""
        centred = points - points.mean(0)
        variances, directions = torch.linalg.eigh(centred.T @ centred / len(points))
        total = variances.mean()
        axes = min(axes, len(points) - 1)
        # A floor: of a few images, or where a feature never varies, most variances come out as 0.
        rest = variances[:-axes].mean().clamp_min(1e-3 * total)
        return cls(
            mean=points.mean(0),
            axes=directions[:, -axes:].T,
            variances=variances[-axes:].clamp_min(float(rest)),
            rest=rest,
            limit=torch.ones((), dtype=points.dtype),
        )

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

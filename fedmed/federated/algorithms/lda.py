"""Linear discriminant analysis, federated: one more use of the second moments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fedmed.federated.algorithms.moments import Moments, symmetric
from fedmed.training.rows import head_of
from fedmed.training.tensors import Tensors


@dataclass(frozen=True)
class Lda(Moments):
    """Two Gaussians of one covariance, the line half-way between their means.

    Guan, Zhou, Gu: Capture Global Feature Statistics for One-Shot Federated Learning (FedCGS),
    AAAI 2025, arXiv:2503.06962. The covariance within the classes is shrunk by `shrink` towards a
    multiple of the identity of the same trace, as Friedman 1989 does (Regularized Discriminant
    Analysis, J. Am. Stat. Assoc. 84).
    """

    name: ClassVar[str] = "lda"
    words: ClassVar[str] = (
        "linear discriminant analysis on the sums of the hospitals' second moments"
    )
    shrink: float = 0.1

    def solve(self, sums: Tensors) -> Tensors:
        products = symmetric(sums["products"], len(sums["targets"]))
        weights = (products[-1, -1] + torch.stack([-sums["targets"][-1], sums["targets"][-1]])) / 2
        if bool((weights <= 1e-12).any()):
            return constant(weights, len(products) - 1)
        totals = (products[-1, :-1] + sums["targets"][:-1] * torch.tensor([[-1.0], [1.0]])) / 2
        means = totals / weights[:, None]
        within = products[:-1, :-1] - torch.einsum("c,cf,cg->fg", weights, means, means)
        within /= weights.sum()
        within *= 1 - self.shrink
        within.diagonal().add_(self.shrink / (1 - self.shrink) * within.diagonal().mean())
        direction = torch.linalg.solve(within, means[1] - means[0])
        bias = -direction @ means.mean(0)
        return head_of(torch.cat([direction, bias[None]]))


def constant(weights: Tensor, width: int) -> Tensors:
    """Return the head that says the class which alone has weight, [2], whatever the features."""
    direction = torch.zeros(width + 1, dtype=torch.float64)
    direction[-1] = (weights[1] - weights[0]).sign()
    return head_of(direction)

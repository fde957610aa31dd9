"""Ridge regression, federated: second moments add up, so one round gives the central solution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from fedmed.federated.algorithms.moments import Moments, symmetric
from fedmed.training.rows import head_of
from fedmed.training.tensors import Tensors


@dataclass(frozen=True)
class Ridge(Moments):
    """Least squares on the classes, -1 and 1, with `l2` a weight's penalty for each image.

    Fanì, Camoriano, Caputo, Ciccone: Accelerating Heterogeneous Federated Learning with
    Closed-form Classifiers (Fed3R), ICML 2024, arXiv:2406.01116. Log-odds are twice the value: so
    both agree, in value and slope, where the classes are equally likely.
    """

    name: ClassVar[str] = "ridge"
    words: ClassVar[str] = "ridge regression on the sums of the hospitals' second moments"
    l2: float = 0.1

    def solve(self, sums: Tensors) -> Tensors:
        products = symmetric(sums["products"], len(sums["targets"]))
        products.diagonal()[:-1].add_(self.l2)  # the bias is free
        return head_of(2 * torch.linalg.solve(products, sums["targets"]))

"""Robust aggregation: what the server makes of updates of which some may be wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fedmed.errors import UserError
from fedmed.federated.algorithm import Round
from fedmed.federated.algorithms.fedavg import FedAvg
from fedmed.training.tensors import Tensors, is_statistic


@dataclass(frozen=True)
class Robust(FedAvg):
    """FedAvg with another middle than the mean; every hospital counts the same.

    A round that too few answer leaves the model as it is.
    """

    additive: ClassVar[bool] = False  # the server needs every update
    fewest: ClassVar[int] = 3  # of two updates none is in the middle

    def init(self, model: Tensors, samples: Tensor) -> tuple[Tensors, Tensors]:
        if len(samples) < self.fewest:
            raise UserError(
                f"{self.name} tells a wrong update by the others, and {len(samples)} are too few: "
                f"{self.fewest} hospitals at least, or choose another algorithm"
            )
        return super().init(model, samples)

    def aggregate(self, server: Tensors, sent: Tensors, samples: Tensor, now: Round) -> Tensors:
        if len(samples) < self.fewest:
            return server
        return self.step(server, self.middle(sent))

    def middle(self, updates: Tensors) -> Tensors:
        """Return one update for the H that were sent: [H, ...] -> [...] each."""
        raise NotImplementedError


@dataclass(frozen=True)
class Median(Robust):
    """The median of every coordinate.

    Yin, Chen, Ramchandran, Bartlett: Byzantine-Robust Distributed Learning: Towards Optimal
    Statistical Rates, ICML 2018, arXiv:1803.01498, Algorithm 1, option I.
    """

    name: ClassVar[str] = "median"
    words: ClassVar[str] = "where the medians of the hospitals' updates led"

    def middle(self, updates: Tensors) -> Tensors:
        return {name: _trimmed(tensor, (len(tensor) - 1) // 2) for name, tensor in updates.items()}


@dataclass(frozen=True)
class TrimmedMean(Robust):
    """The mean of every coordinate without the `trim` largest and smallest shares of the updates.

    Yin, Chen, Ramchandran, Bartlett: Byzantine-Robust Distributed Learning: Towards Optimal
    Statistical Rates, ICML 2018, arXiv:1803.01498, Algorithm 1, option II.
    """

    name: ClassVar[str] = "trimmed-mean"
    words: ClassVar[str] = "where the trimmed means of the hospitals' updates led"
    trim: float = 0.2

    def middle(self, updates: Tensors) -> Tensors:
        # One at least on each side, or three or four hospitals would be averaged.
        cut = max(1, int(self.trim * len(next(iter(updates.values())))))
        return {
            name: _trimmed(tensor, min(cut, (len(tensor) - 1) // 2))
            for name, tensor in updates.items()
        }


@dataclass(frozen=True)
class Krum(Robust):
    """The one update that lies nearest to its neighbours.

    Blanchard, El Mhamdi, Guerraoui, Stainer: Machine Learning with Adversaries: Byzantine Tolerant
    Gradient Descent, NeurIPS 2017 (arXiv:1703.02757), section 4. As many wrong updates are reckoned
    with as its proof allows: f with 2 f + 2 < H. Near is what the weights are: variances that batch
    normalisation measured are larger by orders, and no gradient.
    """

    name: ClassVar[str] = "krum"
    words: ClassVar[str] = "where each round's most central update of one hospital led"

    def middle(self, updates: Tensors) -> Tensors:
        count = len(next(iter(updates.values())))
        learned = [tensor for name, tensor in updates.items() if not is_statistic(name)]
        flat = torch.cat([tensor.double().reshape(count, -1) for tensor in learned], 1)
        wrong = max(0, (count - 3) // 2)
        neighbours = max(1, count - wrong - 2)
        distances = torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist").square()
        nearest = distances.sort(1).values[:, 1 : neighbours + 1]  # the first is itself
        best = int(nearest.sum(1).argmin())
        return {name: tensor[best] for name, tensor in updates.items()}


def _trimmed(updates: Tensor, cut: int) -> Tensor:
    """Return the mean of each coordinate without its `cut` largest and smallest: [H, ...]."""
    ordered = updates.sort(0).values
    return ordered[cut : len(updates) - cut].mean(0)

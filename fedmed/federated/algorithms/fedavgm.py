"""FedAvgM: the server keeps the mean updates in motion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fedmed.federated.algorithms.fedavg import FedAvg
from fedmed.training.tensors import Tensors, add, group, under


@dataclass(frozen=True)
class FedAvgM(FedAvg):
    """FedAvg with momentum at the server.

    Hsu, Qi, Brown: Measuring the Effects of Non-Identical Data Distribution for Federated Visual
    Classification, 2019, arXiv:1909.06335, section 4.3. Momentum 0 and learning rate 1 are FedAvg.
    """

    name: ClassVar[str] = "fedavgm"
    words: ClassVar[str] = "the average of the hospitals' updates, with momentum over the rounds"
    learning_rate: float = 1.0
    momentum: float = 0.9

    def init(self, model: Tensors, samples: Tensor) -> tuple[Tensors, Tensors]:
        server, own = super().init(model, samples)
        still = {name: torch.zeros_like(tensor) for name, tensor in model.items()}
        return {**server, **under("motion", still)}, own

    def step(self, server: Tensors, mean: Tensors) -> Tensors:
        before = {name: self.momentum * t for name, t in group(server, "motion").items()}
        motion = add(before, mean)
        moved = {name: self.learning_rate * tensor for name, tensor in motion.items()}
        return {**under("model", add(self.model(server), moved)), **under("motion", motion)}

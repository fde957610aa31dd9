"""FedAdam: the server takes the mean update for a gradient, and steps as Adam does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fedmed.federated.algorithms.fedavg import FedAvg
from fedmed.training.tensors import Tensors, group, under


@dataclass(frozen=True)
class FedAdam(FedAvg):
    """FedAvg with an adaptive step at the server, whose moments last through all rounds.

    Reddi, Charles, Zaheer, Garrett, Rush, Konečný, Kumar, McMahan: Adaptive Federated Optimization,
    ICLR 2021, arXiv:2003.00295, Algorithm 2. Without bias correction, and the second moment starts
    at tau², both as there.
    """

    name: ClassVar[str] = "fedadam"
    words: ClassVar[str] = "where the server's adaptive steps along the hospitals' mean updates led"
    learning_rate: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.99
    tau: float = 1e-3

    def init(self, model: Tensors, samples: Tensor) -> tuple[Tensors, Tensors]:
        server, own = super().init(model, samples)
        mean = {name: torch.zeros_like(tensor) for name, tensor in model.items()}
        square = {name: torch.full_like(tensor, self.tau**2) for name, tensor in model.items()}
        return {**server, **under("mean", mean), **under("square", square)}, own

    def step(self, server: Tensors, mean: Tensors) -> Tensors:
        means, squares = group(server, "mean"), group(server, "square")
        model = {}
        for name, tensor in self.model(server).items():
            update = mean[name]
            means[name] = self.beta1 * means[name] + (1 - self.beta1) * update
            squares[name] = self.second_moment(squares[name], update**2)
            rate = self.learning_rate / (squares[name].sqrt() + self.tau)
            model[name] = tensor + rate * means[name]
        return {**under("model", model), **under("mean", means), **under("square", squares)}

    def second_moment(self, before: Tensor, square: Tensor) -> Tensor:
        """Return what the server remembers of squared updates after another one."""
        return self.beta2 * before + (1 - self.beta2) * square

"""FedProx: federated averaging of hospitals that are held near the global model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fedmed.federated.algorithms.fedavg import FedAvg
from fedmed.training.gradient import Batch, Gradient
from fedmed.training.tensors import Tensors


@dataclass(frozen=True)
class FedProx(FedAvg):
    """FedAvg whose hospitals minimise their loss + mu/2 times the squared distance to the global.

    Li, Sahu, Zaheer, Sanjabi, Talwalkar, Smith: Federated Optimization in Heterogeneous Networks,
    MLSys 2020, arXiv:1812.06127, Algorithm 2. They try mu from 0.001 to 1; 0 is FedAvg.
    """

    name: ClassVar[str] = "fedprox"
    words: ClassVar[str] = "the average of the updates of hospitals held near each other"
    mu: float = 0.1

    def gradient(self, received: Tensors) -> Gradient:
        return Pull(self.mu, received)


@dataclass(frozen=True, eq=False)
class Pull:
    """The loss's gradient, and mu times how far the model is from the global one."""

    mu: float
    received: Tensors

    def __call__(self, batch: Batch) -> Tensors:
        model = batch.model
        return {
            name: gradient + self.mu * (model[name] - self.received[name])
            for name, gradient in batch.gradient().items()
        }

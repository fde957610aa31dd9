"""Adam and plain gradient descent for many heads at once, Adam with step counts of each head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # Adam's, as Kingma & Ba recommend


@dataclass(frozen=True)
class Optimisation:
    learning_rate: float = 1e-3
    batch_size: int = 64
    class_weights: tuple[float, float] | None = (1.0, 1.0)  # None: equal at every site, by its own
    weight_decay: float = 0.0  # an L2 penalty, as in torch.optim.Adam
    rule: Literal["adam", "sgd"] = "adam"  # sgd is plain: no momentum


class Adam:
    """Adam (Kingma & Ba 2015, arXiv:1412.6980), with moments and a step count for each head."""

    def __init__(self, parameters: Tensor, optimisation: Optimisation) -> None:
        self.optimisation = optimisation
        self.mean = torch.zeros_like(parameters)
        self.square = torch.zeros_like(parameters)
        # In float32, 1 - 0.999 is off by 5e-5.
        self.steps = torch.zeros(len(parameters), 1, 1, dtype=torch.float64)

    def step(self, parameters: Tensor, gradient: Tensor, some: slice) -> None:
        """Move `parameters[some]` in place; the other heads and their moments stay untouched."""
        parameters, steps = parameters[some], self.steps[some]
        mean, square = self.mean[some], self.square[some]
        gradient = gradient.add(parameters, alpha=self.optimisation.weight_decay)
        steps += 1
        mean.lerp_(gradient, 1 - BETA1)
        square.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
        length = self.optimisation.learning_rate / (1 - BETA1**steps)
        rms = (square / (1 - BETA2**steps).float()).sqrt_().add_(EPSILON)
        parameters.addcdiv_(mean, rms.div_(length.float()), value=-1)


class Sgd:
    """Plain gradient descent: nothing is remembered between steps."""

    def __init__(self, parameters: Tensor, optimisation: Optimisation) -> None:
        self.optimisation = optimisation

    def step(self, parameters: Tensor, gradient: Tensor, some: slice) -> None:
        """Move `parameters[some]` in place; the other heads stay untouched."""
        parameters = parameters[some]
        gradient = gradient.add(parameters, alpha=self.optimisation.weight_decay)
        parameters.sub_(gradient, alpha=self.optimisation.learning_rate)


RULES: dict[str, type[Adam] | type[Sgd]] = {"adam": Adam, "sgd": Sgd}

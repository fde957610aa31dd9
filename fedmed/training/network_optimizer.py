"""The steps of a whole network's training, by PyTorch's functions for them.

Its classes do the same, but the first that a process makes imports PyTorch's compiler: seconds, and
80 MB in every worker.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from fedmed.training.optimizer import BETA1, BETA2, EPSILON, Optimisation


class NetworkOptimizer:
    """AdamW (Loshchilov & Hutter, ICLR 2019, arXiv:1711.05101), or plain gradient descent."""

    def __init__(self, learned: Iterable[nn.Parameter], optimisation: Optimisation) -> None:
        self._learned: list[Tensor] = [*learned]
        self._decay = optimisation.weight_decay
        self._plain = optimisation.rule == "sgd"
        moved = [] if self._plain else self._learned
        self._means = [torch.zeros_like(tensor) for tensor in moved]
        self._squares = [torch.zeros_like(tensor) for tensor in moved]
        self._steps = [torch.zeros((), device=tensor.device) for tensor in moved]

    @torch.no_grad()
    def step(self, length: float) -> None:
        """Move all that is learned along its gradient, and forget the gradients."""
        gradients = [tensor.grad for tensor in self._learned if tensor.grad is not None]
        assert len(gradients) == len(self._learned), "every one has a gradient"
        if self._plain:
            sgd(
                self._learned,
                gradients,
                [None] * len(gradients),
                lr=length,
                weight_decay=self._decay,
                momentum=0,
                dampening=0,
                nesterov=False,
                maximize=False,
            )
        else:
            adamw(
                self._learned,
                gradients,
                self._means,
                self._squares,
                [],
                self._steps,
                fused=True,
                lr=length,
                weight_decay=self._decay,
                beta1=BETA1,
                beta2=BETA2,
                eps=EPSILON,
                amsgrad=False,
                maximize=False,
            )
        for tensor in self._learned:
            tensor.grad = None

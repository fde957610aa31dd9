"""The steps of a whole network's training, by PyTorch's function for them.

Its class does the same, but the first that a process makes imports PyTorch's compiler: seconds, and
80 MB in every worker.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from fedmed.training.optimizer import BETA1, BETA2, EPSILON


class AdamW:
    """AdamW (Loshchilov & Hutter, ICLR 2019, arXiv:1711.05101) on all of a network at once."""

    def __init__(self, learned: Iterable[nn.Parameter], weight_decay: float) -> None:
        self._learned: list[Tensor] = [*learned]
        self._decay = weight_decay
        self._means = [torch.zeros_like(tensor) for tensor in self._learned]
        self._squares = [torch.zeros_like(tensor) for tensor in self._learned]
        self._steps = [torch.zeros((), device=tensor.device) for tensor in self._learned]

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Move all that is learned along its gradient, and forget the gradients."""
        gradients = [tensor.grad for tensor in self._learned if tensor.grad is not None]
        assert len(gradients) == len(self._learned), "every one has a gradient"
        adamw(
            self._learned,
            gradients,
            self._means,
            self._squares,
            [],
            self._steps,
            fused=True,
            lr=learning_rate,
            weight_decay=self._decay,
            beta1=BETA1,
            beta2=BETA2,
            eps=EPSILON,
            amsgrad=False,
            maximize=False,
        )
        for tensor in self._learned:
            tensor.grad = None

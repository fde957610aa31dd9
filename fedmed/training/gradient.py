"""The one hook of local training: the gradient that a step is taken along.

An algorithm or a privacy mechanism that changes local training passes a function from a step's
`Batch` to its gradient. It may add to the gradient of the loss (FedProx's pull, SCAFFOLD's
correction), or weigh every image anew and add noise to the sum (DP-SGD, whose clipping is such a
weight: `batch.gradient((limit / batch.norms()).clamp(max=1) / size)`). Whether a head or a whole
network is trained, it does not know. Networks train in other processes, to which it is sent: so it
is an instance of a class with `__call__`, at the top of a module, and no function inside another.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from fedmed.training.tensors import Tensors


class Batch(Protocol):
    """The images of one step: at most B at each of A hospitals, which step together."""

    @property
    def hospitals(self) -> Tensor:
        """Which hospitals: [A], places in the sequence of sites that are trained on."""

    @property
    def model(self) -> Tensors:
        """What is trained, as it is before the step: [A, ...] each."""

    @property
    def weights(self) -> Tensor:
        """What each image weighs in the loss: [A, B], in all 1 at a hospital.

        A hospital that has fewer images than others is padded by images that weigh 0.
        """

    def norms(self) -> Tensor:
        """The length of the gradient of each image's own loss, unweighted: [A, B]."""

    def gradient(self, weights: Tensor | None = None) -> Tensors:
        """The sum of the images' gradients, each times its weight: [A, ...] each.

        `weights` [A, B] take the place of the loss's; what pads counts nothing, whatever they say.
        """


Gradient = Callable[[Batch], Tensors]


class HeadBatch:
    """A `Batch` of features, for softmax regression.

    The gradient of an image's cross-entropy is the outer product of its error (probabilities minus
    the truth) and its features, so no autograd is needed, nor an image's gradient to know its
    length.
    """

    def __init__(
        self,
        hospitals: Tensor,  # [A]
        parameters: Tensor,  # [A, 2, F + 1], the last is the bias
        features: Tensor,  # [A, B, F + 1], the last is 1
        labels: Tensor,  # [A, B]
        weights: Tensor,  # [A, B]
        real: Tensor,  # [A, B], False where padded
    ) -> None:
        self.hospitals = hospitals
        self.weights = weights
        self._parameters = parameters
        self._features = features
        self._labels = labels
        self._real = real

    @property
    def model(self) -> Tensors:
        return unpack(self._parameters)

    @cached_property
    def _errors(self) -> Tensor:
        error = torch.bmm(self._features, self._parameters.transpose(1, 2)).softmax(2)
        error -= functional.one_hot(self._labels, error.shape[2])
        return error

    def norms(self) -> Tensor:
        return self._errors.norm(dim=2) * self._features.norm(dim=2)

    def gradient(self, weights: Tensor | None = None) -> Tensors:
        return unpack(self.packed_gradient(weights))

    def packed_gradient(self, weights: Tensor | None = None) -> Tensor:
        """Return the gradient as one tensor: [A, 2, F + 1]."""
        weights = self.weights if weights is None else weights * self._real
        return torch.bmm((self._errors * weights[..., None]).transpose(1, 2), self._features)


def pack(tensors: Tensors) -> Tensor:
    """Put A heads' weight [A, 2, F] and bias [A, 2] side by side: [A, 2, F + 1]."""
    return torch.cat([tensors["weight"], tensors["bias"][..., None]], 2)


def unpack(packed: Tensor) -> Tensors:
    """Undo `pack`, without a copy."""
    return {"weight": packed[..., :-1], "bias": packed[..., -1]}

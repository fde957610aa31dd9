"""FedYogi: FedAdam whose memory of squared updates changes by no more than one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fedmed.federated.algorithms.fedadam import FedAdam


@dataclass(frozen=True)
class FedYogi(FedAdam):
    """FedAdam with Yogi's second moment, which falls slowly after large updates.

    Reddi, Charles, Zaheer, Garrett, Rush, Konečný, Kumar, McMahan: Adaptive Federated Optimization,
    ICLR 2021, arXiv:2003.00295, Algorithm 2.
    """

    name: ClassVar[str] = "fedyogi"

    def second_moment(self, before: Tensor, square: Tensor) -> Tensor:
        return before - (1 - self.beta2) * square * (before - square).sign()

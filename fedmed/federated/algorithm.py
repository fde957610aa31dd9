"""What a federated algorithm decides."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor

from fedmed.training.heads import Heads, stack
from fedmed.training.local_training import Site, train
from fedmed.training.optimizer import Optimisation


class Algorithm(ABC):
    """What a federated algorithm decides; the rounds and the wire are the same for all."""

    def train(
        self,
        shared: Heads,
        sites: Sequence[Site],
        epochs: range,
        settings: Optimisation,
        *,
        seed: int,
    ) -> Heads:
        """At the hospitals: H local heads, each from the shared head (H = 1) and its own site."""
        return train(stack([shared] * len(sites)), sites, epochs, settings, seed=seed)

    @abstractmethod
    def aggregate(self, updates: Heads, samples: Tensor) -> Heads:
        """On the server: H updates and sample counts [H] made into one update (H = 1)."""

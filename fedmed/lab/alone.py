"""Every hospital of a deal without the others: the same whatever else a run sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fedmed.lab.cohort import LabCohort
from fedmed.training.heads import Heads, new_heads
from fedmed.training.local_training import train
from fedmed.training.optimizer import Optimisation


class Alone:
    """Every hospital trained without the others, in as many rounds as are asked for.

    Each weighs its classes alike by its own counts, for it knows nobody else's. What was trained is
    kept, for the next run of the same deal.
    """

    def __init__(
        self, cohort: LabCohort, parts: Sequence[np.ndarray], epochs: int, seed: int
    ) -> None:
        self.parts, self.epochs, self.seed = parts, epochs, seed
        self.sites = [
            cohort.site(f"hospital_{number}", part) for number, part in enumerate(parts, 1)
        ]
        self._scores = cohort.scores
        self._optimisation = Optimisation(class_weights=None)
        self._heads = new_heads(len(parts), cohort.width)
        self._done: list[Trained] = []

    def after(self, rounds: int) -> Trained:
        """The hospitals after so many rounds."""
        for done in range(len(self._done), rounds):
            epochs = range(done * self.epochs, (done + 1) * self.epochs)
            self._heads = train(self._heads, self.sites, epochs, self._optimisation, seed=self.seed)
            self._done.append(Trained(self._heads, self._scores(self._heads)))
        return self._done[rounds - 1]


class Trained(NamedTuple):
    """The hospitals' heads after some rounds, and their scores."""

    heads: Heads
    scores: list[dict[str, float]]

"""The X-rays of the lab as sites to train on: features in memory, dealt to hospitals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from fedmed.data.partition import split
from fedmed.evaluation.at_a_glance import at_a_glance
from fedmed.lab.settings import LabSettings
from fedmed.privacy.rows import PatientSite, Space
from fedmed.snapshot.lab_features import Dealable, LabFeatures
from fedmed.task import CLASSES
from fedmed.training.heads import Heads, probabilities


class LabCohort:
    """Everything that runs share: features, classes, validation."""

    def __init__(self, stored: LabFeatures) -> None:
        self.stored = stored
        self.width = stored.views.shape[2]
        self.labels = torch.from_numpy(stored.training.labels)
        self.truth = stored.validation.labels
        self.space = Space(stored.centre, stored.radius)
        self.mixed = lru_cache(maxsize=2)(self._mix)

    def _mix(self, first: int) -> Tensor:
        """Features [n, 512], of image i of view (first + i) modulo V, as in `TrainingSite`."""
        views = self.stored.views
        places = torch.arange(views.shape[1])
        return views[(first + places) % len(views), places]

    def site(self, name: str, chosen: np.ndarray) -> LabSite:
        """Some of the training X-rays, by their places."""
        return LabSite(name, self, torch.from_numpy(np.asarray(chosen, np.int64)))

    def everything(self) -> LabSite:
        """All training X-rays in one place."""
        return self.site("central", np.arange(len(self.labels)))

    def patient_site(self, name: str, chosen: np.ndarray) -> PatientSite:
        """A hospital whose every patient is one row, for privacy."""
        _, places = np.unique(self.stored.training.patients[chosen], return_inverse=True)
        index, rows = torch.from_numpy(places), torch.from_numpy(np.asarray(chosen, np.int64))
        counts = torch.bincount(index).float()
        mean = self.stored.views[:, rows].mean(0)
        summed = torch.zeros(len(counts), mean.shape[1]).index_add_(0, index, mean)
        ill = torch.zeros(len(counts)).index_add_(0, index, self.labels[rows].float())
        return PatientSite(name, summed / counts[:, None], (2 * ill >= counts).long())

    def scores(self, heads: Heads) -> list[dict[str, float]]:
        """AUC and balanced accuracy on the validation patients, of each of H heads."""
        found = probabilities(heads, self.stored.features).numpy()
        return [
            {"auc": auc, "balanced_accuracy": balanced}
            for auc, balanced in at_a_glance(found, self.truth)
        ]


class LabSite:
    """One site's images in training: every epoch sees one view of each image."""

    def __init__(self, name: str, cohort: LabCohort, chosen: Tensor) -> None:
        self.name = name
        self._cohort = cohort
        self._chosen = chosen
        self.labels = cohort.labels[chosen]

    def epoch(self, number: int) -> Tensor:
        """Features [n, 512] for epoch `number`."""
        return self._cohort.mixed(number % len(self._cohort.stored.views))[self._chosen]

    def every_view(self) -> Iterator[tuple[float, Tensor]]:
        """Features [n, 512] of each view, and what share of all epochs shows it."""
        views = self._cohort.stored.views
        for view in views:
            yield 1 / len(views), view[self._chosen]


def deal(training: Dealable, settings: LabSettings) -> list[np.ndarray]:
    """Deal the training X-rays to hospitals, as `data.partition` does: places of each.

    Raises:
        UserError: they are too few for so many hospitals.
    """
    return split(
        # Of one width, so that their order as text is that of the numbers.
        [f"{number:08d}" for number in training.patients.tolist()],
        training.labels.tolist(),
        hospitals=settings.hospitals,
        scheme=settings.partition,
        alpha=settings.alpha,
        skew=settings.skew,
        seed=settings.seed,
    )


def mixes(training: Dealable, parts: Sequence[np.ndarray]) -> list[dict[str, int]]:
    """How many patients of each class every hospital has; of both, in what most images show."""
    result = []
    for part in parts:
        _, owner = np.unique(training.patients[part], return_inverse=True)
        ill = np.bincount(owner, weights=training.labels[part])
        is_ill = 2 * ill >= np.bincount(owner)
        counts = [int((~is_ill).sum()), int(is_ill.sum())]
        result.append({str(name): n for name, n in zip(CLASSES, counts, strict=True)})
    return result

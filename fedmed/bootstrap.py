"""Patients drawn again with replacement: how far a metric could move with other patients.

Images of one patient resemble each other, so whole patients are resampled, not images: the cluster
bootstrap (C. A. Field and A. H. Welsh, Bootstrapping clustered data, J. R. Statist. Soc. B 69,
2007).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

Statistic = Callable[[np.ndarray], np.ndarray]

BLOCK_ELEMENTS = 1 << 20


class Bootstrap:
    """The resamples of one protocol; equal patients and seed always give equal resamples.

    `patients` names the patient of every image, [n]. Each resample draws as many patients as there
    are; an image's weight is how often its patient was drawn.
    """

    def __init__(self, patients: Sequence[str], *, seed: int = 0, resamples: int = 1000) -> None:
        if len(patients) == 0 or resamples < 1:
            raise ValueError("a bootstrap needs at least one image and one resample")
        names, self._patient_of_image = np.unique(np.asarray(patients), return_inverse=True)
        self.patients = len(names)
        self.images = len(patients)
        self.resamples = resamples
        self._seed = seed

    def weights(self) -> Iterator[np.ndarray]:
        """Yield float64 image weights [r, n], a block of resamples at a time to bound memory."""
        generator = np.random.default_rng(self._seed)
        rows = max(1, BLOCK_ELEMENTS // self.images)
        for first in range(0, self.resamples, rows):
            count = min(rows, self.resamples - first)
            drawn = generator.integers(self.patients, size=(count, self.patients))
            drawn += np.arange(count)[:, None] * self.patients
            times = np.bincount(drawn.ravel(), minlength=count * self.patients)
            yield times.reshape(count, -1).astype(float)[:, self._patient_of_image]

    def distribution(self, statistic: Statistic) -> np.ndarray:
        """Return the values [resamples, k] of `statistic`, which maps weights [r, n] to [r, k]."""
        return np.concatenate([statistic(weights) for weights in self.weights()])


def interval(value: float, distribution: np.ndarray) -> dict[str, float]:
    """Return `value` with its 95 % percentile interval.

    `distribution` [resamples] may hold NaN where a resample left the metric undefined (it drew one
    class only); those resamples say nothing and are left out.
    """
    low, high = np.nanquantile(distribution, (0.025, 0.975))
    return {"value": float(value), "low": float(low), "high": float(high)}


def confusion_statistic(predicted: np.ndarray, labels: np.ndarray) -> Statistic:
    """Return weights [r, n] -> weighted TN, FP, FN, TP [r, 4]; both arguments are 0 or 1, [n]."""
    cells = np.eye(4)[2 * labels + predicted]
    return lambda weights: weights @ cells


def auc_statistic(scores: np.ndarray, labels: np.ndarray) -> Statistic:
    """Return weights [r, n] -> weighted area under the ROC curve [r]; a tie counts one half.

    The area is the weighted share of (positive, negative) pairs in the right order
    (Mann-Whitney); NaN where a resample has no such pair.
    """
    negatives = np.flatnonzero(labels == 0)
    negatives = negatives[np.argsort(scores[negatives], kind="stable")]
    positives = np.flatnonzero(labels == 1)
    positives = positives[np.argsort(scores[positives], kind="stable")]
    below = np.searchsorted(scores[negatives], scores[positives], side="left")
    not_above = np.searchsorted(scores[negatives], scores[positives], side="right")

    def area(weights: np.ndarray) -> np.ndarray:
        cumulated = np.zeros((len(weights), len(negatives) + 1))
        np.cumsum(weights[:, negatives], axis=1, out=cumulated[:, 1:])
        positive = weights[:, positives]
        beaten = (cumulated[:, below] + cumulated[:, not_above]) / 2
        ordered = np.einsum("rp,rp->r", positive, beaten)
        return ratio(ordered, positive.sum(axis=1) * cumulated[:, -1], undefined=np.nan)

    return area


def ratio(part: np.ndarray, whole: np.ndarray, *, undefined: float) -> np.ndarray:
    """Return part / whole, and `undefined` where whole is 0."""
    return np.divide(part, whole, out=np.full(part.shape, undefined), where=whole > 0)

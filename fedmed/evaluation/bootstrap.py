"""Patients drawn again with replacement: how far a metric could move with other patients.

Images of one patient resemble each other, so whole patients are resampled, not images: the cluster
bootstrap (C. A. Field and A. H. Welsh, Bootstrapping clustered data, J. R. Statist. Soc. B 69,
2007).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

Statistic = Callable[[np.ndarray], np.ndarray]

BLOCK_ELEMENTS = 1 << 17  # 1 MB: a block stays in the processor's cache


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
        """Return the values [resamples, ...] of `statistic`: weights [r, n] -> [r, ...]."""
        return np.concatenate([statistic(weights) for weights in self.weights()])


def limits(distribution: np.ndarray) -> np.ndarray:
    """The ends [2, ...] of the 95 % percentile interval of a `distribution` [resamples, ...].

    It may hold NaN where a resample left the metric undefined (it drew one class only); those
    resamples say nothing and are left out.
    """
    ends = np.quantile(distribution, (0.025, 0.975), axis=0)
    lacking = np.isnan(ends[0])
    if lacking.any():
        ends[:, lacking] = np.nanquantile(distribution[:, lacking], (0.025, 0.975), axis=0)
    return ends


def confusion_statistic(predicted: np.ndarray, labels: np.ndarray) -> Statistic:
    """Return weights [r, n] -> weighted TN, FP, FN, TP [r, M, 4] of M models.

    `predicted` [M, n] and `labels` [n] are 0 or 1.
    """
    ill = labels == 1
    called = np.asarray(predicted, dtype=float).T

    def cells(weights: np.ndarray) -> np.ndarray:
        healthy_weights, ill_weights = weights[:, ~ill], weights[:, ill]
        fp, tp = healthy_weights @ called[~ill], ill_weights @ called[ill]
        tn = healthy_weights.sum(axis=1, keepdims=True) - fp
        fn = ill_weights.sum(axis=1, keepdims=True) - tp
        return np.stack([tn, fp, fn, tp], axis=2)

    return cells


def auc_statistic(scores: np.ndarray, labels: np.ndarray) -> Statistic:
    """Return weights [r, n] -> weighted areas under the ROC curve [r, M] of M models' `scores`.

    The area is the weighted share of (positive, negative) pairs in the right order (Mann-Whitney);
    a tie counts one half; NaN where a resample has no such pair. `scores` are [M, n].
    """
    negatives, positives = np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)
    ranked = [_ranked(row[negatives], row[positives]) for row in scores]

    def areas(weights: np.ndarray) -> np.ndarray:
        # An image's weights side by side, so that images are moved as a whole.
        negative, positive = (
            np.ascontiguousarray(weights[:, of].T) for of in (negatives, positives)
        )
        cumulated = np.zeros((len(negative) + 1, len(weights)))
        ordered = np.empty((len(weights), len(ranked)))
        for model, (order, below, not_above) in enumerate(ranked):
            np.cumsum(negative[order], axis=0, out=cumulated[1:])
            beaten = cumulated[below]
            if not_above is not None:
                beaten += cumulated[not_above]
                beaten /= 2
            ordered[:, model] = np.einsum("pr,pr->r", positive, beaten)
        pairs = (positive.sum(axis=0) * negative.sum(axis=0))[:, None]
        return ratio(ordered, np.broadcast_to(pairs, ordered.shape), undefined=np.nan)

    return areas


def _ranked(
    negatives: np.ndarray, positives: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Negatives in rising order; how many lie below each positive; and how many not above it.

    The last is None where there are no ties, so that it would be the same.
    """
    order = np.argsort(negatives, kind="stable")
    below = np.searchsorted(negatives[order], positives, side="left")
    not_above = np.searchsorted(negatives[order], positives, side="right")
    return order, below, None if np.array_equal(below, not_above) else not_above


def ratio(part: np.ndarray, whole: np.ndarray, *, undefined: float) -> np.ndarray:
    """Return part / whole, and `undefined` where whole is 0."""
    return np.divide(part, whole, out=np.full(part.shape, undefined), where=whole > 0)

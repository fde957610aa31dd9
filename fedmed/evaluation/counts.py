"""METRICS of a model of which only counts are known: federated evaluation.

Each hospital scores a model on patients of its own and tells four counts. Neither probabilities
nor patients are known here, so there is no AUC, and intervals are over X-rays. They are Wilson's
(E. B. Wilson, Probable inference, the law of succession, and statistical inference, J. Am. Stat.
Assoc. 22, 1927): a hospital may hold out a handful, and resampling shows no error that they lack.
Where hospitals added noise to their counts, an interval spans all that these may have been: 97.5 %
for the noise and 97.5 % for the sample are together at least 95 %, whatever the two have to do with
each other (Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fedmed.evaluation.metrics import FIXED

Z = 1.959964  # of 95 %
Z_BESIDE_NOISE = 2.241403  # of 97.5 %
Z_OF_NOISE = 2.497705  # of 98.75 %, for a share has two counts
_ROUNDING = 1 / 12  # the variance that rounding a noisy count adds


def metrics_of_counts(counts: Sequence[Sequence[int]], noise: float = 0.0) -> dict[str, Any]:
    """Return METRICS of `counts` [hospitals, 4]: TN, FP, FN, TP at each hospital, at 0.5.

    All hospitals' X-rays count the same. A metric that is not defined, for no X-ray has its class,
    is left out; precision and F1 are 0 where nothing is called PNEUMONIA, as `metrics.evaluate` has
    it. Of images of one patient, which resemble each other, intervals are too narrow.

    `noise` is the standard deviation of what every hospital added to each count before it rounded
    them; then a count may be below nought, and is taken for nought.

    Raises:
        ValueError: there is no X-ray, or noise leaves none.
    """
    tn, fp, fn, tp = (_Count.of(each, noise) for each in zip(*counts, strict=True))
    cells = [one.whole for one in (tn, fp, fn, tp)]
    total, ill, well = sum(cells), fn.whole + tp.whole, tn.whole + fp.whole
    if not total:
        raise ValueError("no X-ray was scored")
    found: dict[str, Any] = {"accuracy": _share(tn + tp, fp + fn)}
    recall, specificity = _share(tp, fn), _share(tn, fp)
    if ill and well:
        found["balanced_accuracy"] = _mean(recall, specificity)
    found["precision"] = _share(tp, fp)
    if ill:
        found["recall"] = recall
    if well:
        found["specificity"] = specificity
    # F1 rises with the share of right ones among all that are ill or called so.
    overlap = _share(tp, fp + fn)
    found["f1"] = {end: 2 * share / (1 + share) for end, share in overlap.items()}
    return found | {
        "confusion_matrix": [cells[:2], cells[2:]],
        "threshold": {"value": 0.5, "rule": FIXED},
        "n": total,
    }


@dataclass(frozen=True)
class _Count:
    """A count that was told, and the variance of the noise in it."""

    told: int
    variance: float

    @classmethod
    def of(cls, counts: Sequence[int], noise: float) -> _Count:
        """All hospitals' together."""
        return cls(sum(counts), len(counts) * (noise**2 + _ROUNDING) if noise else 0.0)

    def __add__(self, other: _Count) -> _Count:
        return _Count(self.told + other.told, self.variance + other.variance)

    @property
    def whole(self) -> int:
        return max(0, self.told)

    def end(self, sign: int) -> float:
        """The least (-1) or the most (1) that it may have been without noise."""
        return max(0.0, self.told + sign * Z_OF_NOISE * math.sqrt(self.variance))


def _share(part: _Count, rest: _Count) -> dict[str, float]:
    """The INTERVAL of `part` in both; of nothing, 0 and all that it could be."""
    z = Z_BESIDE_NOISE if part.variance else Z
    whole = part.whole + rest.whole
    return {
        "value": part.whole / whole if whole else 0.0,
        # A share is the less the less of it there is, and the more there is of the rest.
        "low": _wilson(part.end(-1), rest.end(1), z)[0],
        "high": _wilson(part.end(1), rest.end(-1), z)[1],
    }


def _wilson(part: float, rest: float, z: float) -> tuple[float, float]:
    whole = part + rest
    if not whole:
        return 0.0, 1.0
    share, shrunk = part / whole, 1 + z**2 / whole
    middle = (share + z**2 / (2 * whole)) / shrunk
    half = z * math.sqrt(share * (1 - share) / whole + z**2 / (4 * whole**2)) / shrunk
    return max(0.0, middle - half) if part else 0.0, min(1.0, middle + half) if rest else 1.0


def _mean(first: dict[str, float], second: dict[str, float]) -> dict[str, float]:
    """The INTERVAL of the mean of two independent shares (Zou and Donner, 2008, as
    `intervals.difference`)."""
    value = (first["value"] + second["value"]) / 2
    below = math.hypot(*(one["value"] - one["low"] for one in (first, second))) / 2
    above = math.hypot(*(one["high"] - one["value"] for one in (first, second))) / 2
    return {"value": value, "low": value - below, "high": value + above}

"""METRICS of a model of which only counts are known: federated evaluation.

Each hospital scores a model on patients of its own and tells four counts. Neither probabilities
nor patients are known here, so there is no AUC, and intervals are over X-rays. They are Wilson's
(E. B. Wilson, Probable inference, the law of succession, and statistical inference, J. Am. Stat.
Assoc. 22, 1927): a hospital may hold out a handful, and resampling shows no error that they lack.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fedmed.evaluation.metrics import FIXED

Z = 1.959964  # of 95 %


def metrics_of_counts(counts: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Return METRICS of `counts` [hospitals, 4]: TN, FP, FN, TP at each hospital, at 0.5.

    All hospitals' X-rays count the same. A metric that is not defined, for no X-ray has its class,
    is left out; precision and F1 are 0 where nothing is called PNEUMONIA, as `metrics.evaluate` has
    it. Of images of one patient, which resemble each other, intervals are too narrow.

    Raises:
        ValueError: there is no X-ray.
    """
    tn, fp, fn, tp = (sum(each) for each in zip(*counts, strict=True))
    total = tn + fp + fn + tp
    if not total:
        raise ValueError("no X-ray was scored")
    found: dict[str, Any] = {"accuracy": _share(tn + tp, total)}
    recall, specificity = _share(tp, tp + fn), _share(tn, tn + fp)
    if tp + fn and tn + fp:
        found["balanced_accuracy"] = _mean(recall, specificity)
    found["precision"] = _share(tp, tp + fp)
    if tp + fn:
        found["recall"] = recall
    if tn + fp:
        found["specificity"] = specificity
    # F1 rises with the share of right ones among all that are ill or called so.
    overlap = _share(tp, tp + fp + fn)
    found["f1"] = {end: 2 * share / (1 + share) for end, share in overlap.items()}
    return found | {
        "confusion_matrix": [[tn, fp], [fn, tp]],
        "threshold": {"value": 0.5, "rule": FIXED},
        "n": total,
    }


def _share(part: int, whole: int) -> dict[str, float]:
    """The INTERVAL of a share; of nothing, 0 and all that it could be."""
    if not whole:
        return {"value": 0.0, "low": 0.0, "high": 1.0}
    share, shrunk = part / whole, 1 + Z**2 / whole
    middle = (share + Z**2 / (2 * whole)) / shrunk
    half = Z * math.sqrt(share * (1 - share) / whole + Z**2 / (4 * whole**2)) / shrunk
    return {
        "value": share,
        "low": max(0.0, middle - half) if part else 0.0,
        "high": min(1.0, middle + half) if part < whole else 1.0,
    }


def _mean(first: dict[str, float], second: dict[str, float]) -> dict[str, float]:
    """The INTERVAL of the mean of two independent shares (Zou and Donner, 2008, as
    `intervals.difference`)."""
    value = (first["value"] + second["value"]) / 2
    below = math.hypot(*(one["value"] - one["low"] for one in (first, second))) / 2
    above = math.hypot(*(one["high"] - one["value"] for one in (first, second))) / 2
    return {"value": value, "low": value - below, "high": value + above}

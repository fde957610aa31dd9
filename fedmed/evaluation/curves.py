"""ROC and calibration curves, to be drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn import metrics

from fedmed.evaluation.metrics import checked

ROC_POINTS = 101
CALIBRATION_BINS = 10


def curves(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Return the `roc` and `calibration` of one model's P(PNEUMONIA) [n], to be drawn."""
    scores, truth = checked(np.asarray(probabilities)[None], labels, len(labels))
    return {"roc": _roc(scores[0], truth), "calibration": calibration_curve(scores[0], truth)}


def _roc(scores: np.ndarray, truth: np.ndarray) -> dict[str, list[float]]:
    fpr, tpr, _ = metrics.roc_curve(truth, scores)
    # fpr + tpr rises along the whole curve, so steps of it keep points on steep and flat parts.
    steps = np.searchsorted(fpr + tpr, np.linspace(0, 2, ROC_POINTS))
    kept = np.unique(np.append(np.minimum(steps, len(fpr) - 1), [0, len(fpr) - 1]))
    return {"fpr": fpr[kept].tolist(), "tpr": tpr[kept].tolist()}


def calibration_curve(scores: np.ndarray, truth: np.ndarray) -> dict[str, list[float]]:
    """Of every bin of P(PNEUMONIA) [n] that is not empty: mean prediction, share ill, images."""
    bins = np.minimum((scores * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    count = np.bincount(bins, minlength=CALIBRATION_BINS)
    used = count > 0
    predicted = np.bincount(bins, weights=scores, minlength=CALIBRATION_BINS)
    observed = np.bincount(bins, weights=truth, minlength=CALIBRATION_BINS)
    return {
        "predicted": (predicted[used] / count[used]).tolist(),
        "observed": (observed[used] / count[used]).tolist(),
        "count": count[used].tolist(),
    }

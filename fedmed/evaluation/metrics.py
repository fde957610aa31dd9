"""The one evaluator: central, federated, hospital and local-only models are all scored here.

Every metric comes with a 95 % interval over resampled patients. An image is called PNEUMONIA where
P(PNEUMONIA) >= threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fedmed.errors import UserError
from fedmed.evaluation.bootstrap import (
    Bootstrap,
    Statistic,
    auc_statistic,
    confusion_statistic,
    limits,
    ratio,
)
from fedmed.task import CLASSES

FIXED = "fixed at 0.5"

METRICS = ("accuracy", "balanced_accuracy", "precision", "recall", "specificity", "f1", "auc")

MODELS_AT_ONCE = 128  # so that the resampled metrics of thousands of models take some 10 MB


def evaluate(
    probabilities: np.ndarray,
    labels: np.ndarray,
    patients: Sequence[str],
    *,
    threshold: float = 0.5,
    rule: str = FIXED,
    resamples: int = 1000,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Return the METRICS of evaluation.json for each of M models' P(PNEUMONIA) [M, n].

    [M, s, n] are s looks at the same images: metrics are means over the looks, counts their sums.
    `labels` [n] are 0 or 1; `patients` names each image's patient. All models, and all calls with
    equal patients and seed, see the same resamples. Precision and F1 are 0 where nothing is called
    PNEUMONIA. Raises UserError where a class is missing or a probability is not finite.
    """
    scores, truth = checked(probabilities, labels, len(patients))
    looks = scores.shape[1] if scores.ndim == 3 else 1
    bootstrap = Bootstrap(patients, seed=seed, resamples=resamples)
    results = []
    at_once = max(1, MODELS_AT_ONCE // looks)
    for start in range(0, len(scores), at_once):
        some = scores[start : start + at_once].reshape(-1, len(truth))
        statistic = _mean_over(looks, metric_statistic(some, truth, threshold))
        values = statistic(np.ones((1, len(truth))))[0]
        low, high = limits(bootstrap.distribution(statistic))
        cells = confusion_statistic(some >= threshold, truth)(np.ones((1, len(truth))))[0]
        cells = cells.reshape(-1, looks, 4).sum(axis=1)
        results += [
            intervals(*found)
            | {
                "confusion_matrix": cell.astype(int).reshape(2, 2).tolist(),
                "threshold": {"value": float(threshold), "rule": rule},
                "n": looks * len(truth),
            }
            for *found, cell in zip(values, low, high, cells, strict=True)
        ]
    return results


def checked(
    probabilities: np.ndarray, labels: np.ndarray, images: int
) -> tuple[np.ndarray, np.ndarray]:
    scores = np.asarray(probabilities, dtype=float)
    truth = np.asarray(labels, dtype=int)
    if not scores.shape[-1:] == truth.shape == (images,):
        raise ValueError(
            "one probability of each model, one label and one patient per image: "
            f"got {scores.shape}, {truth.shape} and {images}"
        )
    if not np.isfinite(scores).all():
        raise UserError(
            "A model's probabilities are not finite: its training diverged. "
            "Lower --learning-rate and train again."
        )
    counts = np.bincount(truth, minlength=len(CLASSES))
    for name, count in zip(CLASSES, counts, strict=True):
        if count == 0:
            raise UserError(
                f"Nothing can be evaluated: no {name} image among the {len(truth)} to score. "
                "Add images of that class, or choose another --seed for the held-out patients."
            )
    return scores, truth


def metric_statistic(
    scores: np.ndarray, truth: np.ndarray, threshold: float | np.ndarray
) -> Statistic:
    """Return weights [r, n] -> the METRICS of M models in their order [r, M, 7].

    They equal scikit-learn's with the weights as `sample_weight`.
    """
    confusion = confusion_statistic(scores >= threshold, truth)
    auc = auc_statistic(scores, truth)

    def values(weights: np.ndarray) -> np.ndarray:
        tn, fp, fn, tp = np.moveaxis(confusion(weights), 2, 0)
        recall = ratio(tp, tp + fn, undefined=np.nan)
        specificity = ratio(tn, tn + fp, undefined=np.nan)
        columns = {
            "accuracy": (tn + tp) / (tn + fp + fn + tp),
            "balanced_accuracy": (recall + specificity) / 2,
            "precision": ratio(tp, tp + fp, undefined=0.0),
            "recall": recall,
            "specificity": specificity,
            "f1": ratio(2 * tp, 2 * tp + fp + fn, undefined=0.0),
            "auc": auc(weights),
        }
        return np.stack([columns[name] for name in METRICS], axis=2)

    return values


def _mean_over(looks: int, statistic: Statistic) -> Statistic:
    """Return weights [r, n] -> the mean of each model's metrics over its looks, [r, M, 7]."""
    if looks == 1:
        return statistic

    def mean(weights: np.ndarray) -> np.ndarray:
        values = statistic(weights)
        return values.reshape(len(values), -1, looks, len(METRICS)).mean(axis=2)

    return mean


def intervals(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> dict[str, Any]:
    """The INTERVAL of every metric, from its value and ends: [7] each."""
    rows = np.stack([values, low, high], axis=1).tolist()
    return {
        name: dict(zip(("value", "low", "high"), row, strict=True))
        for name, row in zip(METRICS, rows, strict=True)
    }

"""The one table of metrics, and the one evaluator: all models are scored here.

Every metric comes with a 95 % interval over resampled patients. An image is called PNEUMONIA where
P(PNEUMONIA) >= threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

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

MODELS_AT_ONCE = 128  # so that the resampled metrics of thousands of models take some 10 MB


MetricName = Literal[
    "accuracy", "balanced_accuracy", "precision", "recall", "specificity", "f1", "auc"
]


@dataclass(frozen=True)
class Tally:
    """What a metric is computed of: weighted counts and AUC of R resamples and M models, [R, M]."""

    tn: np.ndarray
    fp: np.ndarray
    fn: np.ndarray
    tp: np.ndarray
    auc: np.ndarray

    @cached_property
    def recall(self) -> np.ndarray:
        return ratio(self.tp, self.tp + self.fn, undefined=np.nan)

    @cached_property
    def specificity(self) -> np.ndarray:
        return ratio(self.tn, self.tn + self.fp, undefined=np.nan)


@dataclass(frozen=True)
class Metric:
    """A line of the table: the metric's name within a sentence, its formula, its name on the Hub.

    Only metrics with a name on the Hub are listed in a model card's front matter.
    """

    title: str
    formula: Callable[[Tally], np.ndarray]
    hub: str | None = None

    @property
    def heading(self) -> str:
        """The title as it begins a line or a column."""
        return self.title[0].upper() + self.title[1:]


# The report, the model card, the terminal and the page name, order and explain metrics as it is
# done here. A new one also needs its key in MetricName and in `Scores` of report/schema.py: mypy
# says so.
METRICS: dict[MetricName, Metric] = {
    "accuracy": Metric(
        "accuracy", lambda of: (of.tn + of.tp) / (of.tn + of.fp + of.fn + of.tp), hub="accuracy"
    ),
    "balanced_accuracy": Metric("balanced accuracy", lambda of: (of.recall + of.specificity) / 2),
    "precision": Metric(
        "precision", lambda of: ratio(of.tp, of.tp + of.fp, undefined=0.0), hub="precision"
    ),
    "recall": Metric("recall", lambda of: of.recall, hub="recall"),
    "specificity": Metric("specificity", lambda of: of.specificity),
    "f1": Metric(
        "F1", lambda of: ratio(2 * of.tp, 2 * of.tp + of.fp + of.fn, undefined=0.0), hub="f1"
    ),
    "auc": Metric("AUC", lambda of: of.auc, hub="roc_auc"),
}


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
            intervals(*ends)
            | {
                "confusion_matrix": cell.astype(int).reshape(2, 2).tolist(),
                "threshold": {"value": float(threshold), "rule": rule},
                "n": looks * len(truth),
            }
            for *ends, cell in zip(values, low, high, cells, strict=True)
        ]
    return results


def checked(
    probabilities: np.ndarray, labels: np.ndarray, images: int
) -> tuple[np.ndarray, np.ndarray]:
    """Scores [M, n] and labels [n] of as many `images`, as arrays.

    Raises UserError as `evaluate` does, and ValueError where the shapes do not fit.
    """
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
    """Return weights [r, n] -> the METRICS of M models in the table's order [r, M, metrics].

    They equal scikit-learn's with the weights as `sample_weight`.
    """
    confusion = confusion_statistic(scores >= threshold, truth)
    auc = auc_statistic(scores, truth)

    def values(weights: np.ndarray) -> np.ndarray:
        tn, fp, fn, tp = np.moveaxis(confusion(weights), 2, 0)
        tally = Tally(tn, fp, fn, tp, auc(weights))
        return np.stack([metric.formula(tally) for metric in METRICS.values()], axis=2)

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
    """The INTERVAL of every metric, from its value and ends: [metrics] each."""
    rows = np.stack([values, low, high], axis=1).tolist()
    return {
        name: dict(zip(("value", "low", "high"), row, strict=True))
        for name, row in zip(METRICS, rows, strict=True)
    }

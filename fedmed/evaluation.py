"""The one evaluator: central, federated, hospital and local-only models are all scored here.

Every metric comes with a 95 % interval over resampled patients. An image is called PNEUMONIA where
P(PNEUMONIA) >= threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import binomtest
from sklearn import metrics

from fedmed.bootstrap import (
    Bootstrap,
    Statistic,
    auc_statistic,
    confusion_statistic,
    limits,
    ratio,
)
from fedmed.errors import UserError
from fedmed.facts import CLASSES

FIXED = "fixed at 0.5"
CHOSEN = "chosen on validation"

METRICS = ("accuracy", "balanced_accuracy", "precision", "recall", "specificity", "f1", "auc")
COMPARED = ("accuracy", "balanced_accuracy", "f1", "auc")

ROC_POINTS = 101
CALIBRATION_BINS = 10
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
    scores, truth = _checked(probabilities, labels, len(patients))
    looks = scores.shape[1] if scores.ndim == 3 else 1
    bootstrap = Bootstrap(patients, seed=seed, resamples=resamples)
    results = []
    at_once = max(1, MODELS_AT_ONCE // looks)
    for start in range(0, len(scores), at_once):
        some = scores[start : start + at_once].reshape(-1, len(truth))
        statistic = _mean_over(looks, _statistic(some, truth, threshold))
        values = statistic(np.ones((1, len(truth))))[0]
        low, high = limits(bootstrap.distribution(statistic))
        cells = confusion_statistic(some >= threshold, truth)(np.ones((1, len(truth))))[0]
        cells = cells.reshape(-1, looks, 4).sum(axis=1)
        results += [
            _named(*found)
            | {
                "confusion_matrix": cell.astype(int).reshape(2, 2).tolist(),
                "threshold": {"value": float(threshold), "rule": rule},
                "n": looks * len(truth),
            }
            for *found, cell in zip(values, low, high, cells, strict=True)
        ]
    return results


def curves(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Return the `roc` and `calibration` of one model's P(PNEUMONIA) [n], to be drawn."""
    scores, truth = _checked(np.asarray(probabilities)[None], labels, len(labels))
    return {"roc": _roc(scores[0], truth), "calibration": _calibration(scores[0], truth)}


def compare(
    first: np.ndarray,
    second: np.ndarray,
    labels: np.ndarray,
    patients: Sequence[str],
    *,
    thresholds: tuple[float, float] = (0.5, 0.5),
    names: tuple[str, str] = ("federated", "central"),
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Return the comparison of evaluation.json: `first` minus `second` on the same images.

    The intervals are paired (both models on the same resampled patients). `mcnemar_p` is McNemar's
    exact test on the images only one model got right; it takes images as independent.
    """
    scores, truth = _checked(np.stack([first, second]), labels, len(patients))
    cuts = np.array(thresholds)[:, None]
    statistic = _statistic(scores, truth, cuts)
    bootstrap = Bootstrap(patients, seed=seed, resamples=resamples)
    values, resampled = statistic(np.ones((1, len(truth)))), bootstrap.distribution(statistic)
    difference = (values[0, 0] - values[0, 1], *limits(resampled[:, 0] - resampled[:, 1]))
    right = (scores >= cuts) == truth
    only_first = int(np.sum(right[0] & ~right[1]))
    only_second = int(np.sum(right[1] & ~right[0]))

    result: dict[str, Any] = {"models": list(names)}
    found = _named(*difference)
    result |= {f"{name}_difference": found[name] for name in COMPARED}
    result["mcnemar_p"] = mcnemar(only_first, only_second)
    result[f"only_{names[0]}_right"] = only_first
    result[f"only_{names[1]}_right"] = only_second
    result["words"] = _words(result, names, len(truth))
    return result


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the exact two-sided p of McNemar's test from the counts where one model is right."""
    discordant = only_first + only_second
    return float(binomtest(only_first, discordant).pvalue) if discordant else 1.0


def choose_threshold(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the threshold of the best balanced accuracy (W. J. Youden, Cancer 3, 1950).

    It lies midway between two neighbouring probabilities; of equally good ones the nearest to 0.5
    is taken, and 0.5 where all probabilities are equal. Raises UserError as `evaluate` does.
    """
    checked, truth = _checked(np.asarray(probabilities)[None], labels, len(labels))
    scores = checked[0]
    cuts, group = np.unique(scores, return_inverse=True)
    if len(cuts) == 1:
        return 0.5
    negatives_below = np.cumsum(np.bincount(group, weights=truth == 0))[:-1]
    positives_below = np.cumsum(np.bincount(group, weights=truth == 1))[:-1]
    # Youden's J in integers: equally good cuts must compare equal.
    youden = negatives_below * np.sum(truth == 1) - positives_below * np.sum(truth == 0)
    middles = (cuts[:-1] + cuts[1:]) / 2
    # Between adjacent floats the midpoint can round onto the lower one, which is then called 1.
    middles = np.where(middles > cuts[:-1], middles, cuts[1:])
    best = middles[youden == youden.max()]
    return float(best[np.argmin(np.abs(best - 0.5))])


def _checked(
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


def _statistic(scores: np.ndarray, truth: np.ndarray, threshold: float | np.ndarray) -> Statistic:
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


def _named(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> dict[str, Any]:
    """The INTERVAL of every metric, from its value and ends: [7] each."""
    rows = np.stack([values, low, high], axis=1).tolist()
    return {
        name: dict(zip(("value", "low", "high"), row, strict=True))
        for name, row in zip(METRICS, rows, strict=True)
    }


def _roc(scores: np.ndarray, truth: np.ndarray) -> dict[str, list[float]]:
    fpr, tpr, _ = metrics.roc_curve(truth, scores)
    # fpr + tpr rises along the whole curve, so steps of it keep points on steep and flat parts.
    steps = np.searchsorted(fpr + tpr, np.linspace(0, 2, ROC_POINTS))
    kept = np.unique(np.append(np.minimum(steps, len(fpr) - 1), [0, len(fpr) - 1]))
    return {"fpr": fpr[kept].tolist(), "tpr": tpr[kept].tolist()}


def _calibration(scores: np.ndarray, truth: np.ndarray) -> dict[str, list[float]]:
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


def _words(comparison: dict[str, Any], names: tuple[str, str], images: int) -> str:
    first, second = names
    if comparison[f"only_{first}_right"] + comparison[f"only_{second}_right"] == 0:
        return f"{first} and {second} classify all {images} images alike."
    accuracy = comparison["accuracy_difference"]
    value, low, high = (100 * accuracy[key] for key in ("value", "low", "high"))
    figures = (
        f"accuracy {value:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f}, "
        f"McNemar p = {comparison['mcnemar_p']:.2g}, {images} images"
    )
    if low <= 0 <= high:
        reach = max(-low, high)
        return (
            f"No difference between {first} and {second} is shown ({figures}); "
            f"one of up to {reach:.1f} points is not ruled out."
        )
    verdict = "more" if value > 0 else "less"
    doubt = ""
    if comparison["mcnemar_p"] >= 0.05:
        doubt = "; McNemar's test does not confirm it"
    return f"{first} is {verdict} accurate than {second} ({figures}){doubt}."

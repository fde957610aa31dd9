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
    interval,
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


def evaluate(
    probabilities: np.ndarray,
    labels: np.ndarray,
    patients: Sequence[str],
    *,
    threshold: float = 0.5,
    rule: str = FIXED,
    resamples: int = 1000,
    seed: int = 0,
    curves: bool = True,
) -> dict[str, Any]:
    """Return the METRICS of evaluation.json for P(PNEUMONIA) `probabilities` [n], `labels` [n].

    `patients` names each image's patient; calls with equal patients and seed see the same
    resamples. Precision and F1 are 0 where nothing is called PNEUMONIA. `curves` adds `roc` and
    `calibration`. Raises UserError where a class is missing or a probability is not finite.
    """
    scores, truth = _checked(probabilities, labels, len(patients))
    bootstrap = Bootstrap(patients, seed=seed, resamples=resamples)
    values = _point_values(scores, truth, threshold)
    resampled = bootstrap.distribution(_statistic(scores, truth, threshold))
    confusion = metrics.confusion_matrix(truth, scores >= threshold)
    result: dict[str, Any] = {
        name: interval(values[name], resampled[:, column]) for column, name in enumerate(METRICS)
    }
    result |= {
        "confusion_matrix": confusion.tolist(),
        "threshold": {"value": float(threshold), "rule": rule},
        "n": len(truth),
    }
    if curves:
        result |= {"roc": _roc(scores, truth), "calibration": _calibration(scores, truth)}
    return result


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
    checked = [_checked(scores, labels, len(patients)) for scores in (first, second)]
    truth = checked[0][1]
    models = [(scores, cut) for (scores, _), cut in zip(checked, thresholds, strict=True)]
    bootstrap = Bootstrap(patients, seed=seed, resamples=resamples)
    values = [_point_values(score, truth, threshold) for score, threshold in models]
    statistics = [_statistic(score, truth, threshold) for score, threshold in models]
    differences = bootstrap.distribution(
        lambda weights: statistics[0](weights) - statistics[1](weights)
    )
    right = [(score >= threshold) == truth for score, threshold in models]
    only_first = int(np.sum(right[0] & ~right[1]))
    only_second = int(np.sum(right[1] & ~right[0]))

    result: dict[str, Any] = {"models": list(names)}
    for name in COMPARED:
        result[f"{name}_difference"] = interval(
            values[0][name] - values[1][name], differences[:, METRICS.index(name)]
        )
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
    scores, truth = _checked(probabilities, labels, len(labels))
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
    if not scores.shape == truth.shape == (images,):
        raise ValueError(
            "one probability, one label and one patient per image: "
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


def _point_values(scores: np.ndarray, truth: np.ndarray, threshold: float) -> dict[str, float]:
    predicted = scores >= threshold
    return {
        "accuracy": metrics.accuracy_score(truth, predicted),
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, predicted),
        "precision": metrics.precision_score(truth, predicted, zero_division=0),
        "recall": metrics.recall_score(truth, predicted),
        "specificity": metrics.recall_score(truth, predicted, pos_label=0),
        "f1": metrics.f1_score(truth, predicted, zero_division=0),
        "auc": metrics.roc_auc_score(truth, scores),
    }


def _statistic(scores: np.ndarray, truth: np.ndarray, threshold: float) -> Statistic:
    """Return weights [r, n] -> the METRICS in their order [r, 7], equal to scikit-learn's."""
    confusion = confusion_statistic((scores >= threshold).astype(int), truth)
    auc = auc_statistic(scores, truth)

    def values(weights: np.ndarray) -> np.ndarray:
        tn, fp, fn, tp = confusion(weights).T
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
        return np.stack([columns[name] for name in METRICS], axis=1)

    return values


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

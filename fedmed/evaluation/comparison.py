"""Two models compared on the same images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fedmed.evaluation.bootstrap import Bootstrap, limits
from fedmed.evaluation.intervals import percents
from fedmed.evaluation.metrics import MetricName, checked, intervals, metric_statistic

COMPARED: tuple[MetricName, ...] = ("accuracy", "balanced_accuracy", "f1", "auc")


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
    scores, truth = checked(np.stack([first, second]), labels, len(patients))
    cuts = np.array(thresholds)[:, None]
    statistic = metric_statistic(scores, truth, cuts)
    bootstrap = Bootstrap(patients, seed=seed, resamples=resamples)
    values, resampled = statistic(np.ones((1, len(truth)))), bootstrap.distribution(statistic)
    difference = (values[0, 0] - values[0, 1], *limits(resampled[:, 0] - resampled[:, 1]))
    right = (scores >= cuts) == truth
    only_first = int(np.sum(right[0] & ~right[1]))
    only_second = int(np.sum(right[1] & ~right[0]))

    result: dict[str, Any] = {"models": list(names)}
    differences = intervals(*difference)
    result |= {f"{name}_difference": differences[name] for name in COMPARED}
    result["mcnemar_p"] = mcnemar(only_first, only_second)
    result[f"only_{names[0]}_right"] = only_first
    result[f"only_{names[1]}_right"] = only_second
    result["words"] = verdict(result, f"{len(truth)} images", names)
    return result


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the exact two-sided p of McNemar's test from the counts where one model is right."""
    from scipy.stats import binomtest  # here: who only reads a comparison needs no scipy

    discordant = only_first + only_second
    return float(binomtest(only_first, discordant).pvalue) if discordant else 1.0


def verdict(
    comparison: Mapping[str, Any],
    images: str,
    names: tuple[str, str] = ("federated", "central"),
) -> str:
    """A comparison in a sentence, which claims no more than its interval shows.

    `images` says on what: `624 images`.
    """
    first, second = names
    if comparison[f"only_{first}_right"] + comparison[f"only_{second}_right"] == 0:
        return f"{first} and {second} classify all {images} alike."
    value, low, high = percents(comparison["accuracy_difference"])
    figures = (
        f"accuracy {value:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f}, "
        f"McNemar p = {comparison['mcnemar_p']:.2g}, {images}"
    )
    if low <= 0 <= high:
        reach = max(-low, high)
        return (
            f"No difference between {first} and {second} is shown ({figures}); "
            f"one of up to {reach:.1f} points is not ruled out."
        )
    degree = "more" if value > 0 else "less"
    doubt = ""
    if comparison["mcnemar_p"] >= 0.05:
        doubt = "; McNemar's test does not confirm it"
    return f"{first} is {degree} accurate than {second} ({figures}){doubt}."

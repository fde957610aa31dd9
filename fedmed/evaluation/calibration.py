"""Temperatures: one number a model, by which its probabilities come to mean what they say.

C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger: On Calibration of Modern Neural Networks. ICML 2017.
arXiv:1706.04599.
Log-odds are divided by the temperature; above 1 it makes a model less sure of itself. It turns no
X-ray's rank and, where the threshold goes along, no label.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

from fedmed.evaluation.curves import calibration_curve
from fedmed.evaluation.metrics import checked

RANGE = (1 / 20, 20.0)  # no model is better off beyond it, but one that errs nowhere would go on
TINY = 1e-7  # a probability in FP32 comes no nearer to 1


def fit_temperatures(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The temperature [M] of each of M models' P(PNEUMONIA) [M, n] with the lowest log loss.

    `labels` [n] are 0 or 1. Raises UserError as `evaluate` does.
    """
    scores, truth = checked(probabilities, labels, len(labels))
    return np.array([_temperature(log_odds, truth) for log_odds in _log_odds(scores)])


def calibrated(probabilities: np.ndarray, temperatures: np.ndarray) -> np.ndarray:
    """P(PNEUMONIA) [M, n] at a temperature [M] for each model."""
    return 1 / (1 + np.exp(-_log_odds(probabilities) / np.asarray(temperatures)[:, None]))


def reliability(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """How well one model's P(PNEUMONIA) [n] say how often it is: lower is better in each.

    `log_loss` in nats, `brier` the mean squared error, `calibration_error` the mean distance, over
    images, between a bin's mean prediction and its share of PNEUMONIA (expected calibration error,
    in the bins of the curve).
    """
    scores, truth = checked(np.asarray(probabilities)[None], labels, len(labels))
    curve = calibration_curve(scores[0], truth)
    count, predicted, observed = (
        np.array(curve[name]) for name in ("count", "predicted", "observed")
    )
    return {
        "log_loss": _log_loss(_log_odds(scores[0]), truth),
        "brier": float(np.mean((scores[0] - truth) ** 2)),
        "calibration_error": float(np.sum(count * np.abs(predicted - observed)) / count.sum()),
    }


def _temperature(log_odds: np.ndarray, truth: np.ndarray) -> float:
    # The loss is convex in the inverse.
    low, high = 1 / RANGE[1], 1 / RANGE[0]
    found = minimize_scalar(
        lambda inverse: _log_loss(inverse * log_odds, truth),
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(1 / found.x)


def _log_loss(log_odds: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean(np.logaddexp(0, np.where(truth == 1, -log_odds, log_odds))))


def _log_odds(probabilities: np.ndarray) -> np.ndarray:
    inside = np.clip(np.asarray(probabilities, dtype=float), TINY, 1 - TINY)
    return np.log(inside) - np.log1p(-inside)

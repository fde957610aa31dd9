"""Temperatures, against a grid, scikit-learn and made-up models whose temperature is known."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from fedmed.errors import UserError
from fedmed.evaluation.calibration import (
    RANGE,
    calibrated,
    fit_temperatures,
    reliability,
)

N = 4000


def sigmoid(log_odds: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-log_odds))


@pytest.fixture
def honest() -> tuple[np.ndarray, np.ndarray]:
    """Log-odds, and labels drawn by them."""
    generator = np.random.default_rng(0)
    log_odds = generator.normal(0.5, 2, N)
    return log_odds, (generator.random(N) < sigmoid(log_odds)).astype(int)


@pytest.mark.parametrize("boast", [0.5, 1.0, 3.0])
def test_a_known_temperature_is_found(honest, boast):
    log_odds, labels = honest
    (found,) = fit_temperatures(sigmoid(boast * log_odds)[None], labels)
    assert found == pytest.approx(boast, rel=0.08)


def test_no_temperature_of_a_grid_does_better(honest):
    log_odds, labels = honest
    said = sigmoid(2.2 * log_odds)[None]
    (found,) = fit_temperatures(said, labels)

    def loss(temperature: float) -> float:
        return sk.log_loss(labels, calibrated(said, np.array([temperature]))[0])

    assert loss(found) <= min(map(loss, np.geomspace(0.1, 10, 200))) + 1e-9


def test_models_are_fitted_one_by_one_and_keep_their_ranks(honest):
    log_odds, labels = honest
    said = sigmoid(np.outer([3.0, 0.5], log_odds))
    temperatures = fit_temperatures(said, labels)
    alone = [fit_temperatures(one[None], labels)[0] for one in said]
    assert temperatures.tolist() == alone
    after = calibrated(said, temperatures)
    for before, scaled in zip(said, after, strict=True):
        assert sk.roc_auc_score(labels, scaled) == pytest.approx(sk.roc_auc_score(labels, before))
        assert ((before >= 0.5) == (scaled >= 0.5)).all()


def test_reliability_is_scikit_learns(honest):
    log_odds, labels = honest
    said = sigmoid(3 * log_odds)
    found = reliability(said, labels)
    assert found["log_loss"] == pytest.approx(sk.log_loss(labels, said), rel=1e-4)
    assert found["brier"] == pytest.approx(sk.brier_score_loss(labels, said))
    after = reliability(calibrated(said[None], np.array([3.0]))[0], labels)
    assert all(after[name] < found[name] for name in found)


def test_the_calibration_error_is_the_mean_distance_of_the_bins():
    found = reliability(np.array([0.25, 0.25, 0.75, 0.75]), np.array([0, 1, 1, 1]))
    assert found["calibration_error"] == pytest.approx((0.25 * 2 + 0.25 * 2) / 4)


def test_a_model_that_never_errs_and_one_that_is_certain_stay_finite():
    labels = np.array([0, 1, 0, 1])
    temperatures = fit_temperatures(np.array([[0.2, 0.8, 0.2, 0.8], [0, 1, 1, 0.0]]), labels)
    assert temperatures == pytest.approx(RANGE, rel=1e-3)
    assert np.isfinite(reliability(np.array([0, 1, 1, 0.0]), labels)["log_loss"])


def test_one_class_alone_tells_nothing():
    with pytest.raises(UserError, match="no NORMAL image"):
        fit_temperatures(np.array([[0.2, 0.4]]), np.array([1, 1]))

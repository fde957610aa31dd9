"""Metrics of counts are those of the X-rays that were counted."""

from __future__ import annotations

import numpy as np
import pytest

from fedmed.evaluation.counts import metrics_of_counts
from fedmed.evaluation.metrics import METRICS, evaluate


def test_they_are_those_of_the_one_evaluator_but_for_auc():
    counts = [[40, 10, 5, 45], [20, 0, 10, 70]]
    tn, fp, fn, tp = np.sum(counts, axis=0)
    truth = [0] * (tn + fp) + [1] * (fn + tp)
    said = [0.0] * tn + [1.0] * fp + [0.0] * fn + [1.0] * tp
    [expected] = evaluate(np.array([said]), np.array(truth), [str(n) for n in range(len(said))])
    found = metrics_of_counts(counts)
    assert set(found) == {*METRICS, "confusion_matrix", "threshold", "n"} - {"auc"}
    assert found["confusion_matrix"] == expected["confusion_matrix"]
    assert (found["n"], found["threshold"]) == (expected["n"], expected["threshold"])
    for name in set(METRICS) - {"auc"}:
        assert found[name]["value"] == pytest.approx(expected[name]["value"])
        for end in ("low", "high"):  # of the bootstrap's
            assert found[name][end] == pytest.approx(expected[name][end], abs=0.03)


def test_a_handful_of_xrays_shows_little():
    one = metrics_of_counts([[1, 0, 0, 1]])
    assert one["recall"] == {"value": 1.0, "low": pytest.approx(0.2065, abs=1e-4), "high": 1.0}
    assert one["specificity"]["low"] < 0.25 and one["balanced_accuracy"]["low"] < 0.5
    none = metrics_of_counts([[1, 0, 1, 0]])
    assert (none["precision"]["value"], none["precision"]["high"]) == (0.0, 1.0)
    assert none["f1"]["value"] == 0.0 and none["f1"]["high"] > 0.8


def test_what_no_xray_tells_is_left_out():
    found = metrics_of_counts([[0, 0, 3, 7], [0, 0, 0, 0]])
    assert found["recall"]["value"] == pytest.approx(0.7)
    assert "specificity" not in found and "balanced_accuracy" not in found
    with pytest.raises(ValueError, match="no X-ray"):
        metrics_of_counts([[0, 0, 0, 0]])


def test_noise_widens_intervals_and_a_count_below_nought_is_nought():
    counts = [[40, 10, 5, 45], [20, 0, 10, 70]]
    exact, noisy = metrics_of_counts(counts), metrics_of_counts(counts, noise=1.4)
    for name in set(METRICS) - {"auc"}:
        assert noisy[name]["value"] == exact[name]["value"]
        assert noisy[name]["low"] < exact[name]["low"]
        assert noisy[name]["high"] > exact[name]["high"]
    below = metrics_of_counts([[3, -2, -1, 4], [1, 1, -1, 0]], noise=1.4)
    assert below["confusion_matrix"] == [[4, 0], [0, 4]] and below["n"] == 8
    assert below["recall"]["value"] == 1.0 and below["recall"]["low"] < 0.3
    drowned = metrics_of_counts([[5, 1, -3, -2]], noise=1.4)
    assert "recall" not in drowned and drowned["f1"]["high"] == 1.0
    with pytest.raises(ValueError, match="no X-ray"):
        metrics_of_counts([[-1, 0, -3, -2]], noise=1.4)


@pytest.mark.parametrize("hospitals", [1, 5])
def test_intervals_of_noisy_counts_hold_the_truth(hospitals):
    """95 % of the time at least, over samples and noise; of a small sample too."""
    generator = np.random.default_rng(1)
    truth, noise = {"recall": 0.8, "specificity": 0.7, "accuracy": 0.75}, 1.43
    missed = dict.fromkeys(truth, 0)
    for _ in range(1000):
        right = generator.binomial([20, 20], [0.7, 0.8], (hospitals, 2))
        exact = np.stack([right[:, 0], 20 - right[:, 0], 20 - right[:, 1], right[:, 1]], 1)
        told = np.rint(exact + generator.normal(0, noise, exact.shape)).astype(int)
        found = metrics_of_counts(told.tolist(), noise)
        for name, value in truth.items():
            missed[name] += not found[name]["low"] <= value <= found[name]["high"]
    assert max(missed.values()) <= 50

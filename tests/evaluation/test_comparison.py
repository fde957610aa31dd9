from __future__ import annotations

import json

import numpy as np
import pytest

from fedmed.evaluation.comparison import compare, mcnemar
from fedmed.evaluation.metrics import evaluate
from tests.support.scores import drawn_scores


def test_mcnemar_by_hand():
    # 2 * (C(10, 0) + C(10, 1)) / 2 ** 10
    assert mcnemar(1, 9) == mcnemar(9, 1) == pytest.approx(22 / 1024)
    assert mcnemar(0, 0) == 1.0


def test_a_difference_is_paired():
    probabilities, labels, patients = drawn_scores(200)
    nudged = np.clip(probabilities + 0.02, 0, 1)
    found = compare(nudged, probabilities, labels, patients)
    models = evaluate(np.stack([nudged, probabilities]), labels, patients)
    for name in ("accuracy", "balanced_accuracy", "f1", "auc"):
        difference = found[f"{name}_difference"]
        values = [model[name]["value"] for model in models]
        assert difference["value"] == pytest.approx(values[0] - values[1])
        assert difference["low"] <= difference["value"] <= difference["high"]
        alone = models[0][name]["high"] - models[0][name]["low"]
        assert difference["high"] - difference["low"] < 0.7 * alone


def test_comparison_counts_who_alone_is_right():
    labels = np.array([0, 0, 1, 1, 1])
    first = np.array([0.1, 0.9, 0.9, 0.9, 0.2])
    second = np.array([0.1, 0.2, 0.1, 0.1, 0.1])
    found = compare(first, second, labels, list("abcde"), names=("federated", "central"))
    assert (found["only_federated_right"], found["only_central_right"]) == (2, 1)
    assert found["mcnemar_p"] == 1.0
    assert found["models"] == ["federated", "central"]
    json.dumps(found, allow_nan=False)


def test_each_model_has_its_own_threshold():
    labels = np.array([0, 1])
    scores = np.array([0.6, 0.8])
    found = compare(scores, scores, labels, ["a", "b"], thresholds=(0.7, 0.5))
    assert found["accuracy_difference"]["value"] == 0.5
    assert found["auc_difference"] == {"value": 0, "low": 0, "high": 0}


def verdict(right_first: int, right_second: int, both: int) -> str:
    """The sentence where each model alone is right on so many images, and both on the rest."""
    images = right_first + right_second + both
    labels = np.arange(images) % 2
    wrong = np.arange(images)
    right = labels.astype(float)
    first = np.where(
        (wrong >= right_first) & (wrong < right_first + right_second), 1 - right, right
    )
    second = np.where(wrong < right_first, 1 - right, right)
    return compare(first, second, labels, [str(n) for n in wrong])["words"]


def test_the_verdict_claims_no_more_than_the_interval_shows():
    assert verdict(0, 0, 50) == "federated and central classify all 50 images alike."
    assert verdict(3, 4, 93).startswith("No difference between federated and central is shown")
    assert "is not ruled out" in verdict(3, 4, 93)
    assert verdict(20, 2, 78).startswith("federated is more accurate than central")
    assert verdict(2, 20, 78).startswith("federated is less accurate than central")
    assert "accuracy -18.0 points" in verdict(2, 20, 78)
    assert "McNemar's test does not confirm it" in verdict(4, 0, 96)
    assert "does not confirm" not in verdict(20, 2, 78)

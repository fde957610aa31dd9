from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn import metrics as sk

from fedmed.errors import UserError
from fedmed.evaluation import metrics
from fedmed.evaluation.bootstrap import Bootstrap
from fedmed.evaluation.curves import curves
from fedmed.evaluation.metrics import METRICS
from fedmed.evaluation.metrics import evaluate as evaluate_all
from tests.support.scores import drawn_scores


def evaluate(probabilities: np.ndarray, *arguments: object, **options: object) -> dict:
    """One model's metrics."""
    (found,) = evaluate_all(probabilities[None], *arguments, **options)
    return found


def by_scikit_learn(
    probabilities: np.ndarray, labels: np.ndarray, threshold: float, weights: np.ndarray | None
) -> dict[str, float]:
    predicted = (probabilities >= threshold).astype(int)
    weighted = {"sample_weight": weights}
    return {
        "accuracy": sk.accuracy_score(labels, predicted, **weighted),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, predicted, **weighted),
        "precision": sk.precision_score(labels, predicted, zero_division=0, **weighted),
        "recall": sk.recall_score(labels, predicted, **weighted),
        "specificity": sk.recall_score(labels, predicted, pos_label=0, **weighted),
        "f1": sk.f1_score(labels, predicted, **weighted),
        "auc": sk.roc_auc_score(labels, probabilities, **weighted),
    }


@pytest.mark.slow
@pytest.mark.parametrize("threshold", [0.5, 0.31, 2.0])
def test_values_and_intervals_are_scikit_learns(threshold):
    probabilities, labels, patients = drawn_scores()
    found = evaluate(probabilities, labels, patients, threshold=threshold, resamples=40, seed=7)
    points = by_scikit_learn(probabilities, labels, threshold, None)
    resampled = [
        by_scikit_learn(probabilities, labels, threshold, row)
        for weights in Bootstrap(patients, seed=7, resamples=40).weights()
        for row in weights
    ]
    for name in METRICS:
        low, high = np.quantile([scores[name] for scores in resampled], (0.025, 0.975))
        expected = {"value": points[name], "low": low, "high": high}
        assert found[name] == pytest.approx(expected, abs=1e-12), name


def test_confusion_matrix_threshold_and_size_are_told():
    found = evaluate(
        np.array([0.1, 0.5, 0.4, 0.9, 0.95]),
        np.array([0, 0, 1, 1, 1]),
        list("abcde"),
        threshold=0.5,
        rule="chosen on validation",
    )
    assert found["confusion_matrix"] == [[1, 1], [1, 2]]
    assert found["threshold"] == {"value": 0.5, "rule": "chosen on validation"}
    assert found["n"] == 5


def test_the_result_is_plain_json():
    probabilities, labels, patients = drawn_scores()
    found = evaluate(probabilities.astype(np.float32), labels, patients, resamples=20)
    found |= curves(probabilities.astype(np.float32), labels)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_two_patients_of_one_class_each_still_give_numbers():
    found = evaluate(np.array([0.2, 0.7]), np.array([0, 1]), ["a", "b"], resamples=100)
    assert found["auc"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_patients_with_many_like_images_widen_the_interval():
    probabilities, labels, _ = drawn_scores(60)
    alike = [np.repeat(values, 4) for values in (probabilities, labels)]
    by_patient = evaluate(*alike, [str(number // 4) for number in range(240)])["accuracy"]
    by_image = evaluate(*alike, [str(number) for number in range(240)])["accuracy"]
    wide, narrow = (found["high"] - found["low"] for found in (by_patient, by_image))
    assert wide == pytest.approx(2 * narrow, rel=0.25)


def test_many_models_are_scored_as_each_alone(monkeypatch):
    monkeypatch.setattr(metrics, "MODELS_AT_ONCE", 3)
    _, labels, patients = drawn_scores()
    models = np.stack([drawn_scores(seed=seed)[0] for seed in range(7)])
    together = evaluate_all(models, labels, patients, resamples=40, seed=7)
    assert together == [evaluate(one, labels, patients, resamples=40, seed=7) for one in models]
    assert len({found["auc"]["low"] for found in together}) == 7


@pytest.mark.parametrize("only, missing", [(0, "PNEUMONIA"), (1, "NORMAL")])
def test_a_protocol_of_one_class_is_refused_by_name(only, missing):
    with pytest.raises(UserError, match=f"no {missing} image"):
        evaluate(np.array([0.2, 0.7]), np.array([only, only]), ["a", "b"])


def test_a_diverged_model_is_refused_with_the_way_out():
    with pytest.raises(UserError, match="--learning-rate"):
        evaluate(np.array([0.2, np.nan]), np.array([0, 1]), ["a", "b"])


@pytest.mark.parametrize("labels, patients", [([0, 1, 1], ["a", "b"]), ([0, 1], ["a", "b", "c"])])
def test_lengths_that_differ_are_refused(labels, patients):
    with pytest.raises(ValueError, match="one patient per image"):
        evaluate(np.array([0.2, 0.7]), np.array(labels), patients)


def test_the_table_names_every_metric_within_a_sentence_and_at_its_start():
    assert METRICS["balanced_accuracy"].title == "balanced accuracy"
    assert METRICS["balanced_accuracy"].heading == "Balanced accuracy"
    assert METRICS["f1"].heading == "F1"
    assert len({metric.title for metric in METRICS.values()}) == len(METRICS)


def test_a_line_more_in_the_table_is_scored_like_the_others(monkeypatch):
    """Youden's J, which nothing else knows of."""
    youden = metrics.Metric("Youden's J", lambda of: of.recall + of.specificity - 1)
    monkeypatch.setitem(METRICS, "youden", youden)
    found = evaluate(*drawn_scores(), resamples=40)
    expected = found["recall"]["value"] + found["specificity"]["value"] - 1
    assert found["youden"]["value"] == pytest.approx(expected)
    assert found["youden"]["low"] < expected < found["youden"]["high"]


def test_several_looks_at_the_same_images_are_averaged_in_every_resample() -> None:
    """Each resample's mean, not the mean of the ends of separate intervals."""
    generator = np.random.default_rng(3)
    labels = np.arange(60) % 2
    looks = generator.random((2, 4, 60)) * 0.6 + 0.4 * labels
    patients = [f"p{number // 2}" for number in range(60)]
    found = evaluate_all(looks, labels, patients, resamples=200)
    for model in range(2):
        alone = evaluate_all(looks[model], labels, patients, resamples=200)
        for name in METRICS:
            mean = np.mean([metrics[name]["value"] for metrics in alone])
            assert found[model][name]["value"] == pytest.approx(mean)
        assert found[model]["n"] == np.sum(found[model]["confusion_matrix"]) == 240
    (same,) = evaluate_all(np.repeat(looks[:1, :1], 3, axis=1), labels, patients, resamples=200)
    (once,) = evaluate_all(looks[:1, 0], labels, patients, resamples=200)
    assert same["auc"]["low"] == pytest.approx(once["auc"]["low"])
    assert same["accuracy"]["high"] == pytest.approx(once["accuracy"]["high"])

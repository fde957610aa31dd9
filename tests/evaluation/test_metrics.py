from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn import metrics as sk

from fedmed.errors import UserError
from fedmed.evaluation import metrics
from fedmed.evaluation.bootstrap import Bootstrap
from fedmed.evaluation.comparison import compare, mcnemar
from fedmed.evaluation.curves import curves
from fedmed.evaluation.metrics import METRICS
from fedmed.evaluation.metrics import evaluate as evaluate_all


def evaluate(probabilities: np.ndarray, *arguments: object, **options: object) -> dict:
    """One model's metrics."""
    (found,) = evaluate_all(probabilities[None], *arguments, **options)
    return found


def cohort(images: int = 90, seed: int = 0) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """P(PNEUMONIA) with ties, labels, and patients of one to three images."""
    generator = np.random.default_rng(seed)
    labels = (generator.random(images) < 0.6).astype(int)
    probabilities = np.round(np.clip(generator.normal(0.3 + 0.4 * labels, 0.25), 0, 1), 2)
    patients = [f"patient {number}" for number in generator.integers(images // 2, size=images)]
    return probabilities, labels, patients


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


@pytest.mark.parametrize("threshold", [0.5, 0.31, 2.0])
def test_values_and_intervals_are_scikit_learns(threshold):
    probabilities, labels, patients = cohort()
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
    probabilities, labels, patients = cohort()
    found = evaluate(probabilities.astype(np.float32), labels, patients, resamples=20)
    found |= curves(probabilities.astype(np.float32), labels)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_two_patients_of_one_class_each_still_give_numbers():
    found = evaluate(np.array([0.2, 0.7]), np.array([0, 1]), ["a", "b"], resamples=100)
    assert found["auc"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_patients_with_many_like_images_widen_the_interval():
    probabilities, labels, _ = cohort(60)
    alike = [np.repeat(values, 4) for values in (probabilities, labels)]
    by_patient = evaluate(*alike, [str(number // 4) for number in range(240)])["accuracy"]
    by_image = evaluate(*alike, [str(number) for number in range(240)])["accuracy"]
    wide, narrow = (found["high"] - found["low"] for found in (by_patient, by_image))
    assert wide == pytest.approx(2 * narrow, rel=0.25)


def test_roc_is_thinned_and_keeps_its_area():
    generator = np.random.default_rng(2)
    labels = (np.arange(4000) % 2).astype(int)
    probabilities = 1 / (1 + np.exp(-generator.normal(labels, 1)))
    found = curves(probabilities, labels)["roc"]
    fpr, tpr = found["fpr"], found["tpr"]
    assert 90 < len(fpr) == len(tpr) <= 101
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
    assert sk.auc(fpr, tpr) == pytest.approx(sk.roc_auc_score(labels, probabilities), abs=2e-3)


def test_calibration_averages_each_bin_and_drops_empty_ones():
    probabilities = np.array([0.02, 0.04, 0.55, 1.0])
    found = curves(probabilities, np.array([0, 1, 0, 1]))["calibration"]
    assert found["predicted"] == pytest.approx([0.03, 0.55, 1.0])
    assert found["observed"] == [0.5, 0.0, 1.0]
    assert found["count"] == [2, 1, 1]


def test_many_models_are_scored_as_each_alone(monkeypatch):
    monkeypatch.setattr(metrics, "MODELS_AT_ONCE", 3)
    _, labels, patients = cohort()
    models = np.stack([cohort(seed=seed)[0] for seed in range(7)])
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


def test_mcnemar_by_hand():
    # 2 * (C(10, 0) + C(10, 1)) / 2 ** 10
    assert mcnemar(1, 9) == mcnemar(9, 1) == pytest.approx(22 / 1024)
    assert mcnemar(0, 0) == 1.0


def test_a_difference_is_paired():
    probabilities, labels, patients = cohort(200)
    nudged = np.clip(probabilities + 0.02, 0, 1)
    found = compare(nudged, probabilities, labels, patients)
    models = [evaluate(scores, labels, patients) for scores in (nudged, probabilities)]
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


def words(right_first: int, right_second: int, both: int) -> str:
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


def test_words_claim_no_more_than_the_interval_shows():
    assert words(0, 0, 50) == "federated and central classify all 50 images alike."
    assert words(3, 4, 93).startswith("No difference between federated and central is shown")
    assert "is not ruled out" in words(3, 4, 93)
    assert words(20, 2, 78).startswith("federated is more accurate than central")
    assert words(2, 20, 78).startswith("federated is less accurate than central")
    assert "accuracy -18.0 points" in words(2, 20, 78)
    assert "McNemar's test does not confirm it" in words(4, 0, 96)
    assert "does not confirm" not in words(20, 2, 78)


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

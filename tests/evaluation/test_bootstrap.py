from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, roc_auc_score

from fedmed.evaluation import bootstrap
from fedmed.evaluation.bootstrap import Bootstrap, auc_statistic, confusion_statistic, limits


def scored(images: int, seed: int = 0, levels: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores that carry some signal; `levels` rounds the scores so that they tie."""
    generator = np.random.default_rng(seed)
    labels = (generator.random(images) < 0.6).astype(int)
    scores = np.clip(0.3 * labels + 0.7 * generator.random(images), 0, 1)
    return labels, scores if levels is None else np.round(scores * levels) / levels


def all_weights(patients: list[str], **options: int) -> np.ndarray:
    return np.concatenate(list(Bootstrap(patients, **options).weights()))


def test_images_of_one_patient_are_drawn_together():
    weights = all_weights(["a", "b", "a", "c"], resamples=200)
    assert weights.shape == (200, 4)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()
    assert len(np.unique(weights, axis=0)) > 5


def test_a_patient_is_drawn_alike_in_whatever_order_images_come():
    patients = [f"p{number % 7}" for number in range(20)]
    order = np.random.default_rng(1).permutation(20)
    straight = all_weights(patients, seed=3)
    shuffled = all_weights([patients[place] for place in order], seed=3)
    assert (straight[:, order] == shuffled).all()
    assert (straight != all_weights(patients, seed=4)).any()


def test_each_patient_is_drawn_once_on_average():
    weights = all_weights([str(number) for number in range(30)], resamples=4000)
    assert np.allclose(weights.mean(axis=0), 1, atol=0.1)
    assert np.isclose(weights.var(), 29 / 30, atol=0.03)


def test_blocks_bound_memory_and_lose_no_resample(monkeypatch):
    monkeypatch.setattr(bootstrap, "BLOCK_ELEMENTS", 100)
    blocks = list(Bootstrap([str(number) for number in range(30)], resamples=10).weights())
    assert [len(block) for block in blocks] == [3, 3, 3, 1]
    assert (np.concatenate(blocks).sum(axis=1) == 30).all()


@pytest.mark.parametrize("levels", [None, 5, 1])
def test_auc_equals_scikit_learns_with_sample_weight(levels):
    labels, scores = scored(80, levels=levels)
    models = np.stack([scores, 1 - scores, scored(80, seed=1)[1]])
    weights = all_weights([str(number // 3) for number in range(80)], resamples=12)
    expected = [
        [roc_auc_score(labels, model, sample_weight=row) for model in models] for row in weights
    ]
    assert np.allclose(auc_statistic(models, labels)(weights), expected, rtol=0, atol=1e-12)


def test_confusion_equals_scikit_learns_with_sample_weight():
    labels, scores = scored(50)
    models = np.stack([scores > 0.5, scores > 0.3, scores > 2])
    weights = all_weights([str(number // 2) for number in range(50)], resamples=8)
    expected = [
        [confusion_matrix(labels, model, sample_weight=row).ravel() for model in models]
        for row in weights
    ]
    assert np.array_equal(confusion_statistic(models, labels)(weights), expected)


def test_auc_of_a_one_class_resample_is_undefined_and_left_out_of_the_interval():
    labels, scores = np.array([0, 1, 1]), np.array([0.2, 0.1, 0.9])
    area = auc_statistic(scores[None], labels)(np.array([[0.0, 2, 1], [1, 1, 1], [1, 0, 2]]))
    assert np.isnan(area[0])
    assert area[1:, 0].tolist() == [0.5, 1.0]
    always = np.array([[0.1], [0.2], [0.3]])
    ends = limits(np.concatenate([area, always], axis=1))
    assert np.allclose(ends, [[0.5125, 0.105], [0.9875, 0.295]])


@pytest.mark.slow
def test_intervals_cover_the_truth_about_as_often_as_they_say():
    truth, covered, trials = 0.8, 0, 300
    generator = np.random.default_rng(0)
    labels = np.ones(120, dtype=int)
    for trial in range(trials):
        # Both images of a patient are right or wrong together: 60 patients, not 120 images.
        right = np.repeat(generator.random(60) < truth, 2).astype(int)
        resamples = Bootstrap([str(number // 2) for number in range(120)], seed=trial)
        cells = resamples.distribution(confusion_statistic(right[None], labels))[:, 0]
        low, high = limits(cells[:, 3] / cells.sum(axis=1))
        covered += low <= truth <= high
    assert 0.89 <= covered / trials <= 0.98


def test_nothing_to_resample_is_refused():
    with pytest.raises(ValueError, match="at least one image"):
        Bootstrap([])

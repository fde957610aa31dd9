"""Scores are scikit-learn's, lie in their bounds, and do not depend on what does not matter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from fedmed.errors import UserError
from fedmed.evaluation.comparison import compare, mcnemar
from fedmed.evaluation.curves import curves
from fedmed.evaluation.metrics import METRICS, evaluate

RESAMPLES = 20
FEWER = settings(max_examples=50)  # each is scored by two programs


@st.composite
def scored(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, many of them equal, and labels of both classes."""
    labels = [0, 1, *draw(st.lists(st.integers(0, 1), max_size=40))]
    some = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1))
    scores = draw(st.lists(some, min_size=len(labels), max_size=len(labels)))
    return np.array(scores), np.array(labels)


def evaluated(scores: np.ndarray, labels: np.ndarray, **options: Any) -> dict[str, Any]:
    patients = [f"p{number // 2}" for number in range(len(labels))]
    (found,) = evaluate(scores[None], labels, patients, resamples=RESAMPLES, **options)
    return found | curves(scores, labels)


def values(found: dict[str, Any]) -> list[float]:
    return [found[name]["value"] for name in METRICS]


@FEWER
@given(scored(), st.floats(0, 1))
def test_values_are_scikit_learn_s(drawn, threshold: float) -> None:
    scores, labels = drawn
    found = evaluated(scores, labels, threshold=threshold)
    called = scores >= threshold
    assert values(found) == pytest.approx(
        [
            metrics.accuracy_score(labels, called),
            metrics.balanced_accuracy_score(labels, called),
            metrics.precision_score(labels, called, zero_division=0),
            metrics.recall_score(labels, called),
            metrics.recall_score(labels, called, pos_label=0),
            metrics.f1_score(labels, called, zero_division=0),
            metrics.roc_auc_score(labels, scores),
        ]
    )
    assert found["confusion_matrix"] == metrics.confusion_matrix(labels, called).tolist()


@FEWER
@given(scored(), st.floats(0, 1))
def test_everything_lies_in_its_bounds(drawn, threshold: float) -> None:
    found = evaluated(*drawn, threshold=threshold)
    for name in METRICS:
        interval = found[name]
        assert 0 <= interval["low"] <= interval["high"] <= 1
        assert 0 <= interval["value"] <= 1
    assert np.sum(found["confusion_matrix"]) == found["n"] == len(drawn[1])
    assert sum(found["calibration"]["count"]) == found["n"]
    for curve in found["roc"].values():
        assert np.all(np.diff(curve) >= 0) and curve[0] == 0 and curve[-1] == 1


@FEWER
@given(scored(), st.randoms(use_true_random=False))
def test_the_order_of_the_images_does_not_matter(drawn, shuffler) -> None:
    scores, labels = drawn
    order = list(range(len(labels)))
    shuffler.shuffle(order)
    assert values(evaluated(scores[order], labels[order])) == pytest.approx(
        values(evaluated(scores, labels))
    )


@FEWER
@given(scored())
def test_auc_knows_ranks_alone_and_turns_round_with_the_scores(drawn) -> None:
    scores, labels = np.round(drawn[0], 3), drawn[1]
    auc = evaluated(scores, labels)["auc"]["value"]
    assert evaluated(scores / 2 + 0.1, labels)["auc"]["value"] == pytest.approx(auc)
    assert evaluated(1 - scores, labels)["auc"]["value"] == pytest.approx(1 - auc)


@settings(max_examples=30)
@given(scored(), st.integers(0, 2**16))
def test_a_comparison_the_other_way_round_has_the_other_sign(drawn, seed: int) -> None:
    first, labels = drawn
    second = np.random.default_rng(seed).permutation(first)
    patients = [str(number) for number in range(len(labels))]
    one = compare(first, second, labels, patients, resamples=RESAMPLES)
    other = compare(second, first, labels, patients, resamples=RESAMPLES)
    same = compare(first, first, labels, patients, resamples=RESAMPLES)
    for name in ("accuracy", "balanced_accuracy", "f1", "auc"):
        there, back = one[f"{name}_difference"], other[f"{name}_difference"]
        assert there["value"] == pytest.approx(-back["value"])
        assert there["low"] == pytest.approx(-back["high"])
        assert set(same[f"{name}_difference"].values()) == {0}
    assert one["mcnemar_p"] == pytest.approx(other["mcnemar_p"]) and same["mcnemar_p"] == 1


@given(st.integers(0, 200), st.integers(0, 200))
def test_mcnemar_is_a_probability_and_knows_no_sides(first: int, second: int) -> None:
    found = mcnemar(first, second)
    assert 0 < found <= 1 + 1e-12
    assert found == pytest.approx(mcnemar(second, first))


@given(scored(), st.sampled_from([np.nan, np.inf, -np.inf]))
def test_what_is_not_finite_is_refused(drawn, odd: float) -> None:
    scores, labels = drawn
    scores[0] = odd
    with pytest.raises(UserError, match="not finite"):
        evaluated(scores, labels)

from __future__ import annotations

from itertools import pairwise

import pytest

from fedmed.report.highlights import EXAMPLES, MANY, displayed_models, note, spread


def models(hospitals: int) -> list[str]:
    return ["central", "federated", *(f"hospital_{k}" for k in range(1, hospitals + 1))]


@pytest.mark.parametrize("hospitals", [0, 1, 5, MANY])
def test_few_hospitals_are_all_displayed(hospitals):
    assert displayed_models(models(hospitals)) == models(hospitals)
    assert note(models(hospitals)) == ""


@pytest.mark.parametrize("hospitals", [MANY + 1, 1000])
def test_of_many_some_are_shown_from_the_first_to_the_last(hospitals):
    displayed = displayed_models(models(hospitals))
    assert displayed[:3] == models(1)
    assert displayed[-1] == f"hospital_{hospitals}"
    numbers = [int(name.split("_")[1]) for name in displayed[2:]]
    gaps = [b - a for a, b in pairwise(numbers)]
    assert len(numbers) == EXAMPLES and max(gaps) - min(gaps) <= 1
    assert f"Of {hospitals:,} hospitals, {EXAMPLES} are shown" in note(models(hospitals))


def test_the_spread_is_over_hospitals_alone():
    scores = {name: {"auc": {"value": 9.0}} for name in models(0)}
    scores |= {f"hospital_{k}": {"auc": {"value": k / 1000}} for k in range(1001)}
    found = spread(scores, ["auc"])
    assert found == {"auc": pytest.approx({"value": 0.5, "low": 0.025, "high": 0.975})}

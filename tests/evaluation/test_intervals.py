from __future__ import annotations

import numpy as np
import pytest

from fedmed.evaluation.intervals import cell, difference, mean, percent, percents

INTERVAL = {"value": 0.8834, "low": 0.855, "high": 0.9}


def test_an_interval_in_percent_is_said_in_one_way_for_each_place():
    assert percents(INTERVAL) == pytest.approx((88.34, 85.5, 90))
    assert percent(INTERVAL) == "88.3 % (85.5 to 90.0)"
    assert cell(INTERVAL) == "88.3 (85.5–90.0)"


def test_a_difference_of_independent_shares_is_the_normal_one():
    """Where both intervals are symmetric, half widths add up as standard errors do."""
    first = {"value": 0.8, "low": 0.77, "high": 0.83}
    second = {"value": 0.6, "low": 0.56, "high": 0.64}
    assert difference(first, second) == pytest.approx({"value": 0.2, "low": 0.15, "high": 0.25})


def test_a_difference_the_other_way_round_has_the_other_sign():
    """And the skew of its parts goes along."""
    first = {"value": 0.98, "low": 0.9, "high": 1.0}
    second = {"value": 0.7, "low": 0.66, "high": 0.75}
    there, back = difference(first, second), difference(second, first)
    assert there["value"] == pytest.approx(-back["value"])
    assert there["low"] == pytest.approx(-back["high"])
    assert there["value"] - there["low"] > there["high"] - there["value"]


def test_the_interval_of_a_difference_holds_what_is_true_19_times_in_20():
    generator = np.random.default_rng(0)
    truth, size, held = (0.9, 0.8), 400, 0
    for _ in range(400):
        intervals = []
        for share in truth:
            value = generator.binomial(size, share) / size
            half = 1.96 * (value * (1 - value) / size) ** 0.5
            intervals.append({"value": value, "low": value - half, "high": value + half})
        found = difference(*intervals)
        held += found["low"] <= truth[0] - truth[1] <= found["high"]
    assert 0.92 <= held / 400 <= 0.98


def test_the_mean_of_intervals_is_end_by_end():
    assert mean([INTERVAL, {"value": 0.9, "low": 0.6, "high": 1.0}]) == pytest.approx(
        {"value": 0.8917, "low": 0.7275, "high": 0.95}
    )

from __future__ import annotations

import pytest

from fedmed.evaluation.intervals import cell, percent, percents, points

INTERVAL = {"value": 0.8834, "low": 0.855, "high": 0.9}


def test_an_interval_in_percent_is_said_in_one_way_for_each_place():
    assert percents(INTERVAL) == pytest.approx((88.34, 85.5, 90))
    assert percent(INTERVAL) == "88.3 % (85.5 to 90.0)"
    assert cell(INTERVAL) == "88.3 (85.5–90.0)"


def test_a_difference_always_shows_its_sign():
    assert points({"value": -0.003, "low": -0.014, "high": 0.0}) == "-0.3 points (-1.4 to +0.0)"

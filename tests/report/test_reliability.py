"""The sentence on calibration, each way that it can come out."""

from __future__ import annotations

import copy

import pytest

from fedmed.report.reliability import reliability
from tests.support.reports import example_report

EXAMPLE = example_report()


def told(before: float, after: float, protocol: str = "test") -> str:
    report = copy.deepcopy(EXAMPLE)
    model = report["calibration"]["models"]["federated"]
    model["temperature"] = 1.5
    model[protocol] = {
        end: {"log_loss": 0.3, "brier": 0.1, "calibration_error": value}
        for end, value in (("before", before), ("after", after))
    }
    return reliability(report, protocol)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (0.12, 0.04, "federated's falls from 12.0 to 4.0 % (temperature 1.50)"),
        (0.04, 0.12, "federated's rises from 4.0 to 12.0 % (temperature 1.50)"),
        (0.04, 0.0401, "federated's stays at 4.0 % (temperature 1.50)"),
    ],
)
def test_it_may_fall_rise_or_stay(before, after, words):
    assert words in told(before, after)


def test_it_says_where_temperatures_were_fitted():
    assert "on the validation patients they were fitted on" in told(0.1, 0.1, "validation")
    assert "they were fitted on:" not in told(0.1, 0.1, "test")


def test_nothing_is_said_of_a_report_without_temperatures():
    report = copy.deepcopy(EXAMPLE)
    assert reliability(report, "shifted") == ""
    del report["calibration"]
    assert reliability(report, "test") == ""

from __future__ import annotations

import pytest

from fedmed.report import phrases
from tests.support.reports import changed, example_report

EXAMPLE = example_report()


@pytest.mark.parametrize(
    ("items", "text"), [(["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_items_are_listed_as_one_says_them(items, text):
    assert phrases.listed(items) == text


def test_one_hospital_is_the_only_one():
    assert phrases.some_of(1, 1) == phrases.any_of(1) == "the only hospital"
    assert phrases.some_of(1000, 1000) == "all 1,000 hospitals"
    assert phrases.some_of(1, 2) == "1 of 2 hospitals"
    assert phrases.any_of(2) == "any of 2 hospitals"
    assert phrases.number_of_hospitals(1) == "1 hospital"


def test_a_share_of_nothing_is_none():
    assert phrases.percentage(0, 0) == "0.0 %"
    assert phrases.percentage(1, 3) == "25.0 %"


def test_why_a_format_is_not_compared_is_told():
    assert phrases.unfinished(EXAMPLE) == []
    report = changed("communication", "unfinished", to={"fp16": "it cannot hold the updates"})
    assert phrases.unfinished(report) == [
        "No comparison with updates in FP16: it cannot hold the updates."
    ]

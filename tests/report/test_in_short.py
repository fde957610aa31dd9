"""A run's last lines say what came of it, whichever way it came."""

from __future__ import annotations

from fedmed.report.in_short import in_short
from fedmed.report.story import story
from tests.support.reports import changed, example_report

EXAMPLE = example_report()


def said(report: dict) -> str:
    return " ".join(in_short(report).split())


def test_it_says_what_was_done_and_what_came_of_it() -> None:
    sent = EXAMPLE["communication"]["formats"][EXAMPLE["communication"]["sent"]]
    told = said(EXAMPLE)
    assert told.startswith("In short 5 hospitals trained one model together")
    assert f"{sent['run_bytes']:,} bytes" in told
    assert story(EXAMPLE)[1:] in told
    assert max(map(len, in_short(EXAMPLE).splitlines())) <= 80


def test_it_comes_out_the_other_way() -> None:
    bad = {"value": 0.3, "low": 0.29, "high": 0.31}
    report = changed("protocols", "test", "models", "federated", "balanced_accuracy", to=bad)
    assert "Sharing hurts" in said(report) and "Sharing hurts" not in said(EXAMPLE)


def test_without_hospitals_alone_there_is_nothing_to_compare() -> None:
    assert said(changed("local_only", "test", to={})).endswith("bytes in all.")


def test_what_noise_promises_is_told_where_there_was_any() -> None:
    promise = {"epsilon": 3.0, "delta": 1e-5, "void": ["for a whole hospital: ..."]}
    report = changed("privacy", to={"differential": promise})
    assert "Every patient is protected with epsilon 3 (delta 1e-05)" in said(report)
    report = changed("privacy", to={"differential": promise | {"void": ["for a patient: ..."]}})
    assert "Epsilon 3 with delta 1e-05 protects nobody" in said(report)
    assert "psilon" not in said(changed("privacy", to={}))


def test_masks_are_told_where_there_were_any() -> None:
    report = changed("privacy", to={"secure_aggregation": {}})
    assert "which got the mean alone" in said(report)
    assert "mean alone" not in said(changed("privacy", to={}))

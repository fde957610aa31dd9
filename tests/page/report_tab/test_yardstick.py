"""The yardstick on the Report tab: the stored numbers, and nothing where there are none."""

from __future__ import annotations

from fedmed.page.report_tab import tab
from fedmed.page.report_tab.yardstick import yardstick
from tests.support.markup import text
from tests.support.reports import HOSPITALS, changed, example_report, with_hospitals


def test_every_model_is_held_against_the_optimum() -> None:
    report = example_report()
    shown = text(yardstick(report))
    assert "Exact optimum 0.2100 0.00 95.0 90.0" in shown
    assert "Federated, 2 rounds 0.2100 1.50 95.0 90.0" in shown
    assert "Hospital 1, alone 0.2100 1.50 95.0 90.0 +2.0 +0.070" in shown
    assert "Held against the exact optimum" in shown
    assert "Held against the optimum" in text(tab.html(report))


def test_a_loss_is_signed_as_one() -> None:
    lost = changed("gains", "hospital_4", "own_mix", "federated", to=0.7)
    assert "−10.0" in text(yardstick(lost))


def test_a_report_without_one_has_no_such_panel() -> None:
    older = changed("yardstick", drop=True)
    assert yardstick(older) == ""
    assert "Held against the optimum" not in text(tab.html(older))


def test_of_very_many_hospitals_some_are_shown() -> None:
    many = with_hospitals(example_report(), 40)
    shown = yardstick(many)
    assert shown.count("<tr") < 20 and len(HOSPITALS) < shown.count(", alone")


def test_where_nobody_reckoned_the_contributions_their_column_is_empty() -> None:
    shown = text(yardstick(changed("yardstick", "contribution", to=None)))
    assert "Hospital 1, alone 0.2100 1.50 95.0 90.0 +2.0 Hospital 2" in shown

"""evaluation.json of a federation between machines: read with the same care as any other."""

from __future__ import annotations

import copy
from html import unescape

import pytest

from fedmed.errors import UserError
from fedmed.page.report_tab.machines import html
from fedmed.privacy.private_counts import deviation
from fedmed.report.machines_card import machines_card
from fedmed.report.machines_report import count_noise, held_out, told, validate
from tests.page.test_hostile_report import strings_replaced
from tests.support.machines_report import machines_report
from tests.support.reports import example_config


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return machines_report(tmp_path_factory.mktemp("federation"))


def test_what_is_made_is_what_is_read(made):
    assert validate(made) is made
    words = told(made)
    assert "On 21 X-rays of patients that 3 hospitals held out" in words
    assert "recall 100.0 %" in words and "specificity 66.7 %" in words


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda r: r.pop("federation"), "the field federation is missing"),
        (lambda r: r["federation"].pop("engine"), "the field federation.engine is missing"),
        (lambda r: r.update(schema_version=2), "schema_version must be 1"),
        (lambda r: r["partition"].update(hospitals=[]), "must name a hospital"),
        (lambda r: r["communication"].update(sent="fp8"), "communication.formats.fp8 is missing"),
        (lambda r: r["communication"]["formats"].pop("full_fp32"), "full_fp32 is missing"),
        (lambda r: r["protocols"].update(test=r["protocols"]["validation"]), "validation and no"),
        (lambda r: r["protocols"]["validation"]["models"].clear(), "models.federated is missing"),
        (lambda r: r["data"]["images"].update(NORMAL="many"), "must be a whole number"),
    ],
)
def test_what_lacks_a_field_or_has_it_wrong_is_named(made, spoil, fault):
    report = copy.deepcopy(made)
    spoil(report)
    with pytest.raises(UserError, match=fault):
        validate(report)


def test_words_of_strangers_are_no_markup(made):
    report = strings_replaced(made, ("sent",))
    page = html(validate(report))
    assert "<script" not in page and "<img" not in page


def test_hospitals_without_held_out_xrays_count_for_nothing():
    assert held_out({"a": [0, 0, 0, 0]}) == {}
    scored = held_out({"a": [0, 0, 0, 0], "b": [1, 0, 0, 1]})["validation"]
    assert [*scored["hospitals"]] == ["b"] and scored["n"] == 2


def test_of_a_private_run_noise_is_told_and_counts_of_xrays_are_not(tmp_path):
    report = validate(machines_report(tmp_path, algorithm="class-means", epsilon=8.0))
    noise = report["protocols"]["validation"]["noise"]
    assert noise["standard_deviation"] == pytest.approx(deviation(8.0, 1e-5))
    assert "images" not in report["data"] and report["data"]["patients"] == 235
    assert "patients that 3 hospitals held out and counted with noise" in told(report)
    page = html(report)
    card = machines_card(report, example_config())
    size = f"of standard deviation {deviation(8.0, 1e-5):.3g}"
    for place in (page, card):
        assert f"Gaussian noise to its four counts, {size}" in unescape(place)
        assert "either kind has the run's epsilon once" in unescape(place)
        assert "span what noise may have hidden" in place
    assert '<th scope="col">Patients</th>' in page and "80 patients" in page
    assert "Intervals are over patients" in card and "NORMAL images" not in card


def test_counts_that_noise_leaves_nothing_of():
    noise = count_noise(0.1, 1e-5, 30.0)
    assert held_out({"a": [-3, 0, -9, -1]}, noise) == {}
    scored = held_out({"a": [-3, 0, -9, -1], "b": [9, 1, 2, 20]}, noise)["validation"]
    assert [*scored["hospitals"]] == ["b"]
    assert scored["models"]["federated"]["confusion_matrix"] == [[6, 1], [0, 19]]

"""A stranger's report: every fault is named in a sentence, and no fault passes."""

from __future__ import annotations

import json

import pytest

from fedmed.errors import UserError
from fedmed.report.check import check, refuse, require
from fedmed.report.schema import Config, Report
from tests.support.reports import changed, example_config, example_report

EXAMPLE = example_report()


@pytest.mark.parametrize(
    "path",
    [
        ("protocols",),
        ("protocols", "test", "n"),
        ("protocols", "validation", "models", "central", "f1", "low"),
        ("protocols", "validation", "models", "hospital_3", "threshold", "rule"),
        ("comparison", "test", "accuracy_difference"),
        ("comparison", "validation", "mcnemar_p"),
        ("communication", "formats", "int8", "run_bytes"),
        ("communication", "formats", "fp16", "metrics", "test", "auc"),
        ("partition", "hospitals"),
        ("data", "splits", "train", "images", "NORMAL"),
        ("recipe", "description"),
        ("timing",),
        ("environment",),
    ],
)
def test_a_missing_field_is_named(path):
    said = rf"^evaluation\.json: the field {'.'.join(path)} is missing\. Train again"
    with pytest.raises(UserError, match=said):
        check(changed(*path, drop=True), Report)


def test_a_field_missing_in_a_list_is_named_with_its_place():
    with pytest.raises(UserError, match=r"rounds\[1\]\.bytes_up is missing"):
        check(changed("rounds", 1, "bytes_up", drop=True), Report)


MODEL = ("protocols", "test", "models", "central")


@pytest.mark.parametrize(
    "path, value, said",
    [
        (("protocols", "test", "n"), "90", r"protocols\.test\.n must be a whole number, not '90'"),
        (("protocols", "test", "n"), True, "must be a whole number, not 'True'"),
        (("protocols", "test", "n"), 90.0, "must be a whole number"),
        (("protocols", "test"), [], r"protocols\.test must be an object"),
        (("protocols", "test", "description"), 3, r"description must be text, not '3'"),
        (("rounds",), {}, "rounds must be a list"),
        (("timing", "features"), float("nan"), r"timing\.features must be finite"),
        (("timing", "features"), True, r"timing\.features must be a number"),
        (("timing", "features"), -(10**16), r"timing\.features must be -1e\+15 at least"),
        (("comparison", "test", "mcnemar_p"), None, "mcnemar_p must be a number, not 'None'"),
        ((*MODEL, "confusion_matrix"), [[1, 2]], "confusion_matrix must hold 2 elements"),
        ((*MODEL, "confusion_matrix", 1), [1, 2, 3], r"matrix\[1\] must hold 2 elements"),
        ((*MODEL, "roc", "fpr"), [0.0], r"central\.roc must hold lists of one length"),
        ((*MODEL, "calibration", "count"), [1], "calibration must hold lists of one length"),
        ((*MODEL, "calibration", "count", 0), 0, r"count\[0\] must be above 0"),
        (("communication", "formats", "fp32", "measured"), 1, "measured must be true or false"),
        (("communication", "formats", "fp32", "update_bytes"), 0, "update_bytes must be above 0"),
        (("communication", "rounds"), 10**400, r"rounds must be 1e\+15 at most"),
        (("partition", "alpha"), "0.5", r"partition\.alpha must be a number"),
        (("data", "public_cohort"), {"patients": 3}, r"data\.public_cohort\.images is missing"),
        (("privacy",), [], "privacy must be an object"),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(path, value, said):
    with pytest.raises(UserError, match=rf"^evaluation\.json: .*{said}"):
        check(changed(*path, to=value), Report)


@pytest.mark.parametrize("value", [None, [], "text", 1])
def test_what_is_no_report_at_all_is_refused(value):
    with pytest.raises(UserError, match="the report must be an object"):
        check(value, Report)


def test_a_long_value_is_cut():
    with pytest.raises(UserError) as caught:
        check(changed("rounds", to="x" * 10_000), Report)
    assert len(str(caught.value)) < 200


def test_further_fields_and_null_where_allowed_are_welcome():
    check(changed("protocols", "test", "remark", to="added later"), Report)
    check(changed("partition", "alpha", to=0.5), Report)
    check(changed("timing", "features", to=12), Report)
    check(changed("data", "public_cohort", to=EXAMPLE["data"]["training"]), Report)
    check(changed("privacy", to={"epsilon": 3.0}), Report)


def test_nothing_is_changed_by_looking():
    before = json.dumps(EXAMPLE)
    check(EXAMPLE, Report)
    assert json.dumps(EXAMPLE) == before


def test_a_fault_of_another_file_is_told_under_its_name():
    config = example_config()
    check(config, Config, file="config.json")
    config["models"]["hospital_2"]["training"] = {"NORMAL": 3}
    said = r"^config\.json: the field models\.hospital_2\.training\.PNEUMONIA is missing"
    with pytest.raises(UserError, match=said):
        check(config, Config, file="config.json")


def test_what_the_rest_of_a_file_asks_for_is_told_in_the_same_words():
    with pytest.raises(UserError, match=r"evaluation\.json: the field a\.c is missing\. Train"):
        require({"b": 1}, ["b", "c"], "a")
    with pytest.raises(UserError, match=r"evaluation\.json: a\.b must be odd, not '2'\. Train"):
        refuse("a.b", "must be odd", 2)

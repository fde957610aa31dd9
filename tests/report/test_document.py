from __future__ import annotations

import copy
import json
import re

import numpy as np
import pytest

from fedmed.errors import UserError
from fedmed.report import card_tables, document
from fedmed.report.table import table
from tests.support.reports import changed, example_report, with_hospitals

EXAMPLE = example_report()
PARTS = {name: value for name, value in EXAMPLE.items() if name != "schema_version"}


def test_build_puts_the_parts_in_the_contracts_order():
    built = document.build(**PARTS)
    assert built == EXAMPLE
    assert list(built)[:4] == ["schema_version", "protocols", "comparison", "rounds"]


def test_build_refuses_a_part_that_lacks_a_field():
    partition = {key: value for key, value in PARTS["partition"].items() if key != "scheme"}
    with pytest.raises(UserError, match=r"partition\.scheme is missing"):
        document.build(**{**PARTS, "partition": partition})


@pytest.mark.parametrize(
    "path",
    [
        ("protocols", "test", "models", "federated"),
        ("protocols", "test", "models", "hospital_3"),
        ("protocols", "test", "models", "central", "roc"),
        ("communication", "formats", "int8"),
        ("communication", "formats", "fp16", "metrics"),
        ("local_only", "test", "hospital_5"),
    ],
)
def test_what_only_the_rest_of_the_report_asks_for_is_named_where_it_is_missing(path):
    with pytest.raises(UserError, match=rf"{'.'.join(path)} is missing"):
        document.validate(changed(*path, drop=True))


def test_another_version_of_the_schema_is_refused_with_the_way_out():
    with pytest.raises(UserError, match="schema_version is 2; this version of FedMed reads 1"):
        document.validate(changed("schema_version", to=2))


def test_what_is_valid_comes_back_as_it_was():
    assert document.validate(EXAMPLE) is EXAMPLE


@pytest.mark.parametrize(
    "path",
    [
        ("local_only", "shifted"),
        ("protocols", "shifted", "pairs"),
        ("protocols", "shifted", "models", "hospital_2"),
        ("protocols", "shifted", "models", "central", "auc"),
        ("protocols", "shifted", "models", "central", "pairs"),
        ("protocols", "shifted", "models", "federated", "pairs", "framing"),
        ("protocols", "shifted", "models", "federated", "pairs", "framing", "auc"),
    ],
)
def test_swapped_validation_is_whole_where_a_report_has_it(path):
    with pytest.raises(UserError, match=rf"{'.'.join(path)} is missing"):
        document.validate(changed(*path, drop=True))


def test_a_report_of_before_swapped_validation_is_read():
    older = changed("protocols", "shifted", drop=True)
    del older["local_only"]["shifted"]
    document.validate(older)
    assert "swapped" in table(EXAMPLE) and "swapped" not in table(older)


MODEL = ("protocols", "test", "models", "central")


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("communication", "sent"), "fp16fp32", "communication.sent must be among"),
        (("communication", "formats", "fp32", "update_bytes"), 0, "update_bytes must be above 0"),
        ((*MODEL, "roc", "fpr"), [0.0], "central.roc must hold lists of one length"),
        (
            (*MODEL, "calibration", "count"),
            [1],
            "central.calibration must hold lists of one length",
        ),
        (("communication", "rounds"), 10**400, "communication.rounds must be 1e"),
    ],
)
def test_what_could_not_be_shown_is_refused(path, value, said):
    """Each of these once kept the page from coming up."""
    with pytest.raises(UserError, match=re.escape(said)):
        document.validate(changed(*path, to=value))


def test_what_is_written_reads_back_valid_with_six_digits(tmp_path):
    document.write(EXAMPLE, tmp_path / "evaluation.json")
    text = (tmp_path / "evaluation.json").read_text(encoding="utf-8")
    read = json.loads(text)
    document.validate(read)
    assert text.endswith("}\n")
    assert max(len(line) for line in text.splitlines()) < 1500
    written = read["protocols"]["test"]["models"]["central"]["auc"]
    exact = EXAMPLE["protocols"]["test"]["models"]["central"]["auc"]
    assert written == {name: float(f"{value:.6g}") for name, value in exact.items()}
    assert read["communication"] == json.loads(json.dumps(read["communication"]))


def test_writing_leaves_text_integers_and_nesting_alone(tmp_path):
    odd = {
        "words": ["[ 1,  2 ]", "{\n  a }", "ü  “x”"],
        "bytes": 44_710_302_123,
        "empty": [[], {}],
        "nested": [[1, 2.5], [3, -1e-7]],
        "objects": [{"a": "x  }"}, {"b": "[  y"}],
    }
    document.write(odd, tmp_path / "odd.json")
    assert json.loads((tmp_path / "odd.json").read_text(encoding="utf-8")) == odd


def test_a_number_json_does_not_have_is_never_written(tmp_path):
    with pytest.raises(ValueError):
        document.write({"value": float("inf")}, tmp_path / "bad.json")
    assert not (tmp_path / "bad.json").exists()


def test_numbers_of_numpy_are_refused_before_they_reach_a_file():
    with pytest.raises(UserError, match="must be a whole number"):
        document.validate(changed("protocols", "test", "n", to=np.int64(90)))


class TestManyHospitals:
    MANY = with_hospitals(EXAMPLE, 1000)

    def test_curves_are_kept_of_those_that_are_shown(self):
        document.validate(self.MANY)
        lacking = copy.deepcopy(self.MANY)
        del lacking["protocols"]["test"]["models"]["hospital_112"]["roc"]
        with pytest.raises(UserError, match=r"test\.models\.hospital_112\.roc is missing"):
            document.validate(lacking)


def test_a_format_may_be_lacking_only_where_the_report_says_why():
    report = changed("communication", "formats", "fp16", drop=True)
    with pytest.raises(UserError, match="fp16"):
        document.validate(report)
    report["communication"]["unfinished"] = {"fp16": "it cannot hold the updates"}
    document.validate(report)
    said = "No comparison with updates in FP16: it cannot hold"
    assert said in table(report) and said in card_tables.communication(report)

from __future__ import annotations

import copy
import json
import re
from typing import Any

import numpy as np
import pytest

from fedmed.errors import UserError
from fedmed.report import document, table
from tests.support.reports import MODELS, example_report, with_hospitals

EXAMPLE = example_report()
PARTS = {name: value for name, value in EXAMPLE.items() if name != "schema_version"}


def changed(*path: str | int, to: Any = None, drop: bool = False) -> dict[str, Any]:
    """The example with the field at `path` replaced, or dropped."""
    made = copy.deepcopy(EXAMPLE)
    parent: Any = made
    for step in path[:-1]:
        parent = parent[step]
    if drop:
        del parent[path[-1]]
    else:
        parent[path[-1]] = to
    return made


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
        ("protocols",),
        ("protocols", "test", "n"),
        ("protocols", "test", "models", "federated"),
        ("protocols", "validation", "models", "central", "f1", "low"),
        ("protocols", "validation", "models", "hospital_3", "threshold", "rule"),
        ("protocols", "test", "models", "central", "roc"),
        ("comparison", "test", "accuracy_difference"),
        ("comparison", "validation", "mcnemar_p"),
        ("communication", "formats", "int8", "run_bytes"),
        ("communication", "formats", "fp16", "metrics", "test", "auc"),
        ("partition", "hospitals"),
        ("local_only", "test", "hospital_5"),
        ("local_only", "shifted"),
        ("protocols", "shifted", "pairs"),
        ("protocols", "shifted", "models", "hospital_2"),
        ("protocols", "shifted", "models", "central", "auc"),
        ("protocols", "shifted", "models", "federated", "pairs", "framing", "auc"),
        ("data", "splits", "train", "images", "NORMAL"),
        ("recipe", "description"),
        ("timing",),
        ("environment",),
    ],
)
def test_a_missing_field_is_named(path):
    with pytest.raises(UserError, match=rf"{'.'.join(path)} is missing"):
        document.validate(changed(*path, drop=True))


def test_a_report_of_before_swapped_validation_is_read():
    older = changed("protocols", "shifted", drop=True)
    del older["local_only"]["shifted"]
    document.validate(older)
    assert "swapped" in table.table(EXAMPLE) and "swapped" not in table.table(older)


def test_a_field_missing_in_a_list_is_named_with_its_place():
    with pytest.raises(UserError, match=r"rounds\[1\]\.bytes_up is missing"):
        document.validate(changed("rounds", 1, "bytes_up", drop=True))


@pytest.mark.parametrize(
    "path, value, said",
    [
        (("protocols", "test", "n"), "90", r"protocols\.test\.n must be int, not '90'"),
        (("protocols", "test", "n"), True, "must be int"),
        (("protocols", "test"), [], r"protocols\.test must be an object"),
        (("rounds",), {}, "rounds must be a list"),
        (("timing", "features"), float("nan"), r"timing\.features must be finite"),
        (("comparison", "test", "mcnemar_p"), None, r"mcnemar_p must be int or float"),
        (
            ("protocols", "test", "models", "central", "confusion_matrix"),
            [[1, 2]],
            "confusion_matrix must hold 2 elements",
        ),
        (("data", "public_cohort"), {"patients": 3}, r"data\.public_cohort\.images is missing"),
        (("schema_version",), 2, "schema_version is 2"),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(path, value, said):
    with pytest.raises(UserError, match=said):
        document.validate(changed(*path, to=value))


@pytest.mark.parametrize("value", [None, [], "text", 1])
def test_what_is_no_report_at_all_is_refused(value):
    with pytest.raises(UserError, match="the report must be an object"):
        document.validate(value)


def test_further_fields_and_null_where_allowed_are_welcome():
    document.validate(changed("protocols", "test", "remark", to="added later"))
    document.validate(changed("partition", "alpha", to=0.5))
    document.validate(changed("data", "public_cohort", to=EXAMPLE["data"]["training"]))


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
    with pytest.raises(UserError, match="must be int"):
        document.validate(changed("protocols", "test", "n", to=np.int64(90)))


def test_table_holds_every_model_and_fits_80_columns():
    lines = table.table(EXAMPLE).splitlines()
    assert max(map(len, lines)) <= 80
    assert "validation (n = 120)" in lines[0] and "test (n = 90)" in lines[0]
    rows = {line.split()[0]: line.split()[1:] for line in lines[2:9]}
    assert list(rows) == list(MODELS)
    for model, cells in rows.items():
        expected = [
            f"{100 * EXAMPLE['protocols'][protocol]['models'][model][name]['value']:.1f}"
            for protocol in ("validation", "test")
            for name in ("accuracy", "precision", "recall", "f1")
        ]
        assert cells == expected


def test_table_tells_the_bytes_and_which_format_was_sent():
    lines = table.table(EXAMPLE).splitlines()
    head = EXAMPLE["communication"]["formats"]["fp32"]
    (sent,) = [line for line in lines if "Head, FP32 *" in line]
    assert sent.split()[-3:] == [
        f"{head[f'{unit}_bytes']:,}" for unit in ("update", "round", "run")
    ]
    assert "5 hospitals, 2 rounds" in lines[-1]
    assert sum("FP" in line or "INT" in line for line in lines) == 4


class TestManyHospitals:
    MANY = with_hospitals(EXAMPLE, 1000)

    def test_curves_are_kept_of_those_that_are_shown(self):
        document.validate(self.MANY)
        lacking = copy.deepcopy(self.MANY)
        del lacking["protocols"]["test"]["models"]["hospital_112"]["roc"]
        with pytest.raises(UserError, match=r"test\.models\.hospital_112\.roc is missing"):
            document.validate(lacking)

    def test_the_closing_table_is_short_and_tells_the_median(self):
        lines = table.table(self.MANY).splitlines()
        assert len(lines) < 32 and max(map(len, lines)) <= 80
        assert "Of 1,000 hospitals, 10 are shown" in "\n".join(lines)
        accuracies = sorted(
            EXAMPLE["protocols"]["test"]["models"][f"hospital_{k}"]["accuracy"]["value"]
            for k in range(1, 6)
        )
        (median,) = [line.split() for line in lines if line.startswith("median of all")]
        assert median[-4] == f"{100 * accuracies[2]:.1f}"

    def test_hospitals_without_a_class_are_told(self):
        report_without = copy.deepcopy(self.MANY)
        for hospital in report_without["partition"]["hospitals"][:3]:
            hospital["images"]["NORMAL"] = 0
        told = " ".join(table.table(report_without).split())
        assert "3 of 1,000 hospitals hold no NORMAL X-ray" in told

"""The types of the report are those of what is written, and of the table of metrics."""

from __future__ import annotations

from typing import get_type_hints

import pytest

from fedmed.evaluation.comparison import COMPARED
from fedmed.evaluation.metrics import METRICS
from fedmed.federated.ledger import TITLES
from fedmed.report import schema
from fedmed.report.check import check
from fedmed.task import CLASSES
from tests.support.reports import example_report


def test_every_metric_of_the_table_has_its_field():
    hints = get_type_hints(schema.Scores)
    assert [name for name, kind in hints.items() if kind is schema.Interval] == list(METRICS)
    compared = [f"{name}_difference" for name in COMPARED]
    hints = get_type_hints(schema.Comparison)
    assert [name for name, kind in hints.items() if kind is schema.Interval] == compared


def test_classes_and_formats_are_those_of_the_package():
    assert tuple(get_type_hints(schema.PerClass)) == CLASSES
    assert tuple(TITLES) == schema.FORMATS


@pytest.mark.parametrize(
    "name", ["algorithm", "federation", "yardstick", "gains", "privacy", "study"]
)
def test_a_section_that_only_some_runs_have_may_lack(name):
    report = example_report()
    report.pop(name, None)
    check(report, schema.Report)


@pytest.mark.parametrize("name", ["privacy", "study"])
def test_a_section_may_be_of_a_later_version(name):
    check(example_report() | {name: {"made": "later"}}, schema.Report)


def test_protocols_are_told_in_one_order_however_they_are_stored():
    report = example_report()
    assert list(report["protocols"]) == ["validation", "test", "shifted"]
    assert schema.protocols(report) == ["validation", "shifted", "test"]
    del report["protocols"]["shifted"]
    assert schema.protocols(report) == ["validation", "test"]

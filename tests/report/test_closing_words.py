"""The sentences under the closing table say what the report holds."""

from __future__ import annotations

import copy

from fedmed.report.closing_words import joining_words, shifted_words
from fedmed.report.table import table
from tests.support.reports import example_report, with_hospitals

EXAMPLE = example_report()


def test_joining_is_told_for_every_hospital_alone() -> None:
    report = copy.deepcopy(EXAMPLE)
    for place, scores in enumerate(report["local_only"]["validation"].values()):
        scores["balanced_accuracy"]["value"] = 0.5 + place / 10
    report["protocols"]["validation"]["models"]["federated"]["balanced_accuracy"]["value"] = 0.95
    words = joining_words(report)
    assert "federated 95.0; alone" in words
    assert words.endswith(
        "hospital_1 50.0, hospital_2 60.0, hospital_3 70.0, hospital_4 80.0, hospital_5 90.0"
    )
    assert words in " ".join(table(report).split())


def test_of_a_thousand_hospitals_some_are_told() -> None:
    words = joining_words(with_hospitals(EXAMPLE, 1000))
    assert words.count("hospital_") == 10


def test_swapped_validation_is_told_of_all() -> None:
    models = copy.deepcopy(EXAMPLE["protocols"]["shifted"]["models"])
    for place, scores in enumerate(models.values()):
        scores["balanced_accuracy"]["value"], scores["auc"]["value"] = 0.8 + place / 100, 0.9
    words = shifted_words({"models": models})
    assert words.endswith(
        "central 80.0 / 90.0, federated 81.0 / 90.0, hospitals 82.0 to 86.0 / 90.0"
    )
    assert shifted_words(EXAMPLE["protocols"]["shifted"]) in " ".join(table(EXAMPLE).split())

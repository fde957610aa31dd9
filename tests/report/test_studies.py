"""A study's sentences follow from its figures, and come out the other way with others."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from scipy.stats import ttest_1samp

from fedmed.errors import UserError
from fedmed.report import document, studies
from fedmed.report.card import model_card
from fedmed.report.study_numbers import lead, over_seeds
from tests.support.reports import example_config, example_report
from tests.support.studies import cell, example_study, with_cells

STUDY = example_study()


def test_intervals_are_students() -> None:
    values = [0.91, 0.93, 0.92, 0.95, 0.90]
    low, high = ttest_1samp(values, 0).confidence_interval(0.95)
    found = over_seeds(values)
    assert found is not None
    assert (found["low"], found["high"]) == pytest.approx((low, high), abs=1e-5)
    assert over_seeds([0.9]) is None


def test_differences_are_paired_by_seed() -> None:
    first, second = cell("fedavg", 0.90), cell("ridge", 0.91)
    second["seeds"], second["shifted_auc"] = [44, 43, 42], second["shifted_auc"][2::-1]
    found = lead(second, first)
    assert found is not None and found["value"] == pytest.approx(0.01)
    assert found["low"] == pytest.approx(found["high"]), "the same shift at every seed"


@pytest.mark.parametrize(
    ("rule", "changed", "told", "not_told"),
    [
        ("algorithms", [cell("ridge", 0.95)], "ridge ranks better than fedavg", "worse"),
        ("algorithms", [cell("ridge", 0.85)], "ridge ranks worse than fedavg", "better"),
        ("algorithms", [cell("ridge", 0.9)], "no algorithm is shown to rank otherwise", "worse"),
        ("bytes", [cell("ridge", 0.95, bytes=10)], "Nothing that sends fewer bytes", "not shown"),
        (
            "bytes",
            [cell("ridge", 0.899, wide=0.01, bytes=10)],
            "ridge is not shown to rank worse than the best",
            "Nothing",
        ),
        ("splits", [cell("fedavg", 0.97, partition="iid")], "loses under label-skew", "not shown"),
        ("splits", [cell("fedavg", 0.85, partition="iid")], "is not shown", "loses under"),
        ("formats", [cell("fedavg", 0.8, format="int8")], "cost ranking in INT8", "are not"),
        ("formats", [cell("fedavg", 0.9, format="int8")], "not shown to cost ranking", "and"),
        (
            "privacy",
            [cell("fedavg", 0.8, epsilon=1.0)],
            "privacy costs, in points of AUC, fedavg 10.0 at epsilon 1",
            "not shown",
        ),
        (
            "privacy",
            [cell("fedavg", 0.9, epsilon=1.0)],
            "that it costs fedavg ranking is not shown",
            "in points",
        ),
        (
            "privacy",
            [
                cell("fedavg", 0.85, partition="iid", epsilon=1.0),
                cell("median", 0.5, epsilon=1.0),
            ],
            "Under iid, privacy costs, in points of AUC, fedavg",
            "median",
        ),
        (
            "private algorithms",
            [cell("median", 0.8, epsilon=1.0), cell("krum", 0.88, epsilon=1.0, wide=0.01)],
            "At epsilon 1, under label-skew, median ranks worse than fedavg; of krum no "
            "difference shows (AUC 0.880 at best",
            "better",
        ),
        (
            "private algorithms",
            [cell("scaffold", 0.89, epsilon=1.0), cell("krum", 0.91, epsilon=1.0)],
            "scaffold and krum rank better than fedavg (AUC 0.910 at best, by krum",
            "worse",
        ),
    ],
)
def test_each_sentence_comes_out_as_its_figures(
    rule: str, changed: list[Any], told: str, not_told: str
) -> None:
    text = studies.RULES[rule](with_cells(*changed))  # type: ignore[arg-type]
    assert told in text and not_told not in text


def test_algorithms_are_compared_at_the_least_epsilon_of_fedavg() -> None:
    cells = [cell("fedavg", 0.88, epsilon=3.0), cell("median", 0.95, epsilon=3.0)]
    assert studies.private_algorithms(with_cells(*cells)) == ""  # type: ignore[arg-type]


def test_who_gains_and_who_gives() -> None:
    said = studies.gains(STUDY) + studies.contribution(STUDY)  # type: ignore[arg-type]
    assert "hospital 1 gains and hospital 2 loses by joining" in said
    assert "Hospital 1 contributes most and hospital 2 least" in said
    made = copy.deepcopy(STUDY)
    for of in made["by_hospital"].values():
        of["alone"] = [value + 0.01 * (-1) ** n for n, value in enumerate(of["federated"])]
        of["contribution"] = [0.1 + 0.05 * (-1) ** n for n in range(3)]
    made["by_hospital"]["hospital_2"]["contribution"] = [0.1, 0.1, 0.1]
    said = studies.gains(made) + studies.contribution(made)  # type: ignore[arg-type]
    assert "that any hospital gains or loses is not shown" in said
    assert "That one hospital contributes more than another is not shown" in said


def test_nothing_is_said_of_what_was_not_run() -> None:
    assert studies.told({**STUDY, "cells": [], "by_hospital": {}}) == []  # type: ignore[typeddict-item]


def test_the_card_holds_one_table_and_every_sentence() -> None:
    report = {**example_report(), "study": STUDY}
    card = model_card(document.validate(report), example_config())  # type: ignore[arg-type]
    section = card.split("## The study")[1].split("\n## ")[0]
    assert section.count("\n| --- ") == 1
    assert section.count("\n| ") == 2 + len(STUDY["cells"])
    assert all(text in section for text in studies.told(STUDY))  # type: ignore[arg-type]
    assert "## The study" not in model_card(example_report(), example_config())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [("shifted_auc", [0.9], "one score for each seed"), ("seeds", [1, 1, 2], "every seed once")],
)
def test_a_strangers_study_is_checked(field: str, value: Any, told: str) -> None:
    report = {**example_report(), "study": copy.deepcopy(STUDY)}
    report["study"]["cells"][0][field] = value
    with pytest.raises(UserError, match=told):
        document.validate(report)

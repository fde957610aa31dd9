"""What joining changed for a hospital: computed, each way it can come out."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from fedmed.report.joining import joined
from fedmed.report.phrases import trains_networks
from tests.support.reports import example_report


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    return example_report() | {"training": {"mode": "network", "size": 128}}


def with_scores(example: dict[str, Any], alone: float, federated: float) -> dict[str, Any]:
    report = deepcopy(example)
    for scores, value in (
        (report["local_only"]["test"]["hospital_1"], alone),
        (report["protocols"]["test"]["models"]["federated"], federated),
    ):
        scores["balanced_accuracy"] = {"value": value, "low": value - 0.01, "high": value + 0.01}
    return report


@pytest.mark.parametrize(
    ("alone", "federated", "outcome"),
    [
        (0.5, 0.93, "50.0 % alone, 93.0 % joined: joining lifts it."),
        (0.93, 0.5, "93.0 % alone, 50.0 % joined: joining costs it."),
        (0.9, 0.905, "90.0 % alone, 90.5 % joined: no difference is shown."),
    ],
)
def test_it_can_come_out_each_way(
    example: dict[str, Any], alone: float, federated: float, outcome: str
) -> None:
    said = joined(with_scores(example, alone, federated))
    assert outcome in said["hospital_1"]
    assert said["hospital_1"].startswith(
        "33.3 % PNEUMONIA here. Balanced accuracy on the official test "
    )
    assert list(said) == [f"hospital_{number}" for number in range(1, 6)]


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        ([[0, 30], [0, 60]], "Alone it calls 100.0 % of all X-rays PNEUMONIA."),
        ([[30, 0], [56, 4]], "Alone it calls 95.6 % of all X-rays NORMAL."),
        ([[25, 5], [8, 52]], ""),
    ],
)
def test_one_answer_for_nearly_everybody_is_told(
    example: dict[str, Any], matrix: list[list[int]], words: str
) -> None:
    report = deepcopy(example)
    report["local_only"]["test"]["hospital_2"]["confusion_matrix"] = matrix
    told = joined(report)["hospital_2"]
    assert told.endswith(words) and ("Alone it calls" in told) == bool(words)


def test_of_heads_nothing_is_told() -> None:
    """For what stands beside them is a hospital's head after the last round."""
    assert joined(example_report()) == {} and not trains_networks(example_report())

"""One sentence on what sharing gives, which can come out every way."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from fedmed.report.story import story


def interval(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.02, "high": value + 0.02}


def told(stored: dict[str, Any], federated: float, central: float, alone: list[float]) -> str:
    report: Any = deepcopy(stored)
    models = report["protocols"]["test"]["models"]
    models["federated"]["balanced_accuracy"] = interval(federated)
    models["central"]["balanced_accuracy"] = interval(central)
    hospitals = report["local_only"]["test"].values()
    for scores, value in zip(hospitals, alone, strict=True):
        scores["balanced_accuracy"] = interval(value)
    return story(report)


@pytest.mark.parametrize(
    ("federated", "central", "alone", "begin"),
    [
        (0.90, 0.91, [0.80, 0.81, 0.70, 0.60, 0.75], "sharing lifts all 5 hospitals"),
        (0.90, 0.91, [0.80, 0.81, 0.70, 0.90, 0.91], "sharing lifts 3 of 5 hospitals ("),
        (0.90, 0.91, [0.80, 0.99, 0.70, 0.90, 0.91], "sharing lifts 2 of 5 hospitals and hurts 1"),
        (0.70, 0.91, [0.80, 0.80, 0.80, 0.80, 0.71], "sharing hurts 4 of 5 hospitals"),
        (0.80, 0.91, [0.80, 0.80, 0.80, 0.80, 0.80], "sharing is not shown to lift a hospital, th"),
        (0.90, 0.91, [0.90, 0.89, 0.90, 0.90, 0.91], "each hospital alone does well enough"),
        (0.60, 0.61, [0.60, 0.59, 0.60, 0.60, 0.61], "neither sharing nor pooling all images is"),
    ],
)
def test_what_sharing_gives(
    stored: dict[str, Any], federated: float, central: float, alone: list[float], begin: str
) -> None:
    said = told(stored, federated, central, alone)
    assert said.startswith(begin)
    images = stored["protocols"]["test"]["n"]
    figures = (federated, min(alone), max(alone), central)
    for part in (f"n = {images}", *(f"{100 * figure:.1f} %" for figure in figures)):
        assert part in said


def test_no_hospital_alone_no_story(stored: dict[str, Any]) -> None:
    report: Any = deepcopy(stored)
    report["local_only"]["test"] = {}
    assert story(report) == ""

"""Claims of the federation, with reports made to come out each way."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from fedmed.report import document
from fedmed.report.claims_federation import contribution, optimum, poison, worst_off
from tests.support.reports import HOSPITALS, example_report

EXAMPLE = example_report()


def made(**sections: Any) -> Any:
    return document.validate(copy.deepcopy(EXAMPLE) | copy.deepcopy(sections))


def balanced(report: Any, model: str, value: float) -> None:
    scores = report["protocols"]["test"]["models"][model]
    scores["balanced_accuracy"] = {"value": value, "low": value - 0.02, "high": value + 0.02}


@pytest.mark.parametrize("rule", [poison, optimum, contribution, worst_off])
def test_an_older_report_says_nothing(rule: Any) -> None:
    sections = ("algorithm", "federation", "yardstick", "gains")
    older = {key: value for key, value in EXAMPLE.items() if key not in sections}
    assert rule(document.validate(older), "test") == ""


def test_without_poison_nothing_is_said_of_it() -> None:
    assert poison(made(), "test") == ""


@pytest.mark.parametrize(
    ("federated", "told"), [(0.5, "fedavg does not stand it"), (0.9, "is not shown")]
)
def test_whether_poison_does_harm(federated: float, told: str) -> None:
    report = made(federation={"poison": {"kind": "sign-flip", "hospital": "hospital_3"}})
    balanced(report, "federated", federated)
    balanced(report, "central", 0.9)
    text = poison(report, "test")
    assert text.startswith("Hospital 3 is poisoned (sign-flip)") and told in text
    assert f"{100 * federated:.1f} %" in text and "90.0 %" in text


def within(loss: Any, auc: Any) -> Any:
    return made(yardstick=EXAMPLE["yardstick"] | {"within": {"loss": loss, "auc": auc}})


def test_how_near_the_optimum_was_come() -> None:
    at = {"rounds": 1, "bytes": 4240}
    assert (
        "comes within 1 % of its AUC after 1 round and 4,240 bytes, and does not come within "
        "1 % of its loss in 2 rounds" in optimum(within(None, at), "test")
    )
    both = optimum(within(at, {"rounds": 2, "bytes": 8000}), "test")
    assert "its loss after 1 round" in both and "its AUC after 2 rounds" in both
    assert "not come" not in both
    never = optimum(within(None, None), "test")
    assert "federated does not come within 1 % of its loss and AUC in 2 rounds" in never


def shares(**values: float) -> Any:
    yardstick = copy.deepcopy(EXAMPLE["yardstick"])
    yardstick["contribution"]["hospitals"] |= values
    return made(yardstick=yardstick)


def test_who_contributes() -> None:
    text = contribution(shares(), "test")
    assert "hospital 5 contributes most and hospital 1 least (+0.070 to +0.110" in text
    assert "exact Shapley values over 31 federations" in text
    assert "hospital 2 takes away, the others add" in contribution(shares(hospital_2=-0.1), "test")
    assert "3 take" not in contribution(shares(hospital_1=-0.1, hospital_2=-0.2), "test")
    four = shares(**dict.fromkeys(HOSPITALS[:4], -0.1))
    assert "4 hospitals take away" in contribution(four, "test")
    even = shares(**dict.fromkeys(HOSPITALS, 0.09))
    assert "all hospitals contribute much the same" in contribution(even, "test")


@pytest.mark.parametrize(
    ("federated", "told"),
    [
        (0.81, "gains least of all, and gains: hospital 2"),
        (0.8, "neither gains nor loses: hospital 2"),
        (0.7, "is worst off by joining, and loses: hospital 2"),
    ],
)
def test_who_is_worst_off(federated: float, told: str) -> None:
    gains = copy.deepcopy(EXAMPLE["gains"])
    gains["hospital_2"]["own_mix"]["federated"] = federated
    text = worst_off(made(gains=gains), "test")
    assert told in text and "80.0 %" in text and f"{100 * federated:.1f} % federated" in text

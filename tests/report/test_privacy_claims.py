"""What is said of privacy, with reports made to come out each way."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from fedmed.privacy.statement import guarantee, secure_sums
from fedmed.report import document
from fedmed.report.card import model_card
from fedmed.report.claims import claims
from fedmed.report.privacy_facts import privacy_facts, privacy_section
from tests.support.patients import mechanism
from tests.support.reports import example_config, example_report

EXAMPLE = example_report()


def interval(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": value, "low": low, "high": high}


def made(
    lost: tuple[float, float, float] = (-0.01, -0.02, 0.01),
    epsilon: float = 3.0,
    auc: tuple[float, float, float] = (0.51, 0.48, 0.54),
) -> dict[str, Any]:
    report = copy.deepcopy(EXAMPLE)
    cost = {
        "private": interval(0.9, 0.85, 0.95),
        "unprotected": interval(0.91, 0.86, 0.96),
        "difference": interval(*lost),
    }
    costs = {"auc": cost, "balanced_accuracy": cost}
    strength = {"auc": interval(*auc), "true_positives": interval(0.01, 0.0, 0.02)}
    report["privacy"] = {
        "differential": guarantee(mechanism(epsilon=epsilon), {"hospital_1": 50}),
        "secure_aggregation": secure_sums(5),
        "price": {"validation": costs, "test": costs},
        "audit": {
            "canaries": {
                "canaries": 500, "guesses": 250, "right": 180, "claimed": epsilon,
                "at_least": 0.6, "ceiling": 4.4, "confidence": 0.95,
            },
            "membership": {
                "unit": "patient",
                "shadow_heads": 16,
                "models": {
                    "hospital_1": {"members": 50, "others": 60, "loss": strength, "lira": strength}
                },
            },
        },
    }  # fmt: skip
    return document.validate(report)  # type: ignore[return-value]


def said(report: dict[str, Any], kind: str) -> str:
    return " ".join(claim.text for claim in claims(report) if claim.kind == kind)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        ((-0.02, -0.03, -0.01), "It costs ranking"),
        ((-0.01, -0.02, 0.01), "That it costs ranking is not shown"),
        ((0.02, 0.01, 0.03), "It costs nothing here"),
    ],
)
def test_the_price_is_what_its_interval_shows(lost: Any, told: str) -> None:
    text = said(made(lost), "privacy")
    assert told in text and "epsilon 3" in text and "0.900 private, 0.910 without" in text


def test_a_promise_that_is_void_is_called_so() -> None:
    assert "protects nobody" in said(made(epsilon=50.0), "privacy")
    assert "protects nobody" not in said(made(), "privacy")


def test_an_attack_is_said_to_work_where_it_does() -> None:
    assert "is not shown to tell" in said(made(), "attack")
    assert "tells better than chance" in said(made(auc=(0.6, 0.55, 0.65)), "attack")
    # Of several attacks, one whose interval alone just leaves out a coin shows nothing.
    several = made(auc=(0.55, 0.502, 0.6))
    models = several["privacy"]["audit"]["membership"]["models"]
    assert "tells better than chance" in said(several, "attack")
    models |= {f"hospital_{h}": models["hospital_1"] for h in range(2, 6)}
    assert "is not shown to tell" in said(several, "attack")


@pytest.mark.parametrize(
    ("never_seen", "told"),
    [
        ((0.46, 0.44, 0.48), "tells better than chance"),
        ((0.56, 0.54, 0.58), "is not shown to tell"),
        ((0.46, 0.30, 0.62), "is not shown to tell"),  # that may be off by as much
    ],
)
def test_an_attack_is_held_against_the_same_about_patients_never_seen(
    never_seen: Any, told: str
) -> None:
    report = made(auc=(0.55, 0.51, 0.59))
    (model,) = report["privacy"]["audit"]["membership"]["models"].values()
    del model["lira"]
    model["control"] = model["loss"] | {"auc": interval(*never_seen)}
    text = said(document.validate(report), "attack")
    assert told in text
    assert f"{0.55 - never_seen[0]:+.3f} at most, of hospital 1, above the same about" in text


def test_of_a_run_without_nothing_is_said() -> None:
    assert said(EXAMPLE, "privacy") == said(EXAMPLE, "attack") == ""
    assert privacy_section(EXAMPLE) == ""
    assert "## Privacy" not in model_card(EXAMPLE, example_config())  # type: ignore[arg-type]


def test_the_card_tells_the_promise_its_limits_and_the_audit() -> None:
    card = model_card(made(), example_config())  # type: ignore[arg-type]
    for text in ("**Promise**: epsilon 3", "**Void**: for a whole hospital", "not refuted",
                 "**Secure aggregation**: hides every hospital"):  # fmt: skip
        assert text in card
    refuted = made()
    refuted["privacy"]["audit"]["canaries"]["at_least"] = 4.0
    assert "is refuted" in privacy_facts(refuted)["Audit with planted patients"]

"""What joining changed for each hospital, in a line to stand beside its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fedmed.evaluation.intervals import difference
from fedmed.report.numbers import Interval
from fedmed.report.phrases import in_percent, percentage, trains_networks
from fedmed.report.schema import Scores
from fedmed.task import CLASSES

NEARLY_ALL = 0.95  # of the X-rays that get one and the same answer


def joined(report: Mapping[str, Any]) -> dict[str, str]:
    """A sentence for each hospital whose own network is shown as it is without the others.

    Balanced accuracy on the official test, alone and federated, counted as the claim `joining`
    counts: by the 95 % interval of the difference. Empty where heads were trained: there a
    hospital's model is the one it has after the last round.
    """
    if not trains_networks(report):
        return {}
    federated = report["protocols"]["test"]["models"]["federated"]["balanced_accuracy"]
    shares = {
        hospital["name"]: percentage(hospital["images"]["PNEUMONIA"], hospital["images"]["NORMAL"])
        for hospital in report["partition"]["hospitals"]
    }
    return {
        name: f"{shares[name]} PNEUMONIA here. {_told(alone, federated)}"
        for name, alone in report["local_only"]["test"].items()
        if name in shares
    }


def _told(alone: Scores, federated: Interval) -> str:
    gain = difference(federated, alone["balanced_accuracy"])
    outcome = "no difference is shown"
    if gain["low"] > 0:
        outcome = "joining lifts it"
    elif gain["high"] < 0:
        outcome = "joining costs it"
    return (
        f"Balanced accuracy on the official test {in_percent(alone['balanced_accuracy'])} alone, "
        f"{in_percent(federated)} joined: {outcome}.{_one_answer(alone)}"
    )


def _one_answer(alone: Scores) -> str:
    """That nearly everybody gets the same answer, where it is so."""
    (tn, fp), (fn, tp) = alone["confusion_matrix"]
    said = dict(zip(CLASSES, (tn + fn, fp + tp), strict=True))
    label = max(CLASSES, key=lambda one: said[one])
    total = sum(said.values())
    if said[label] < NEARLY_ALL * total:
        return ""
    return f" Alone it calls {percentage(said[label], total - said[label])} of all X-rays {label}."

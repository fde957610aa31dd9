"""Words that claims are made of: where, who, how many, how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fedmed.evaluation.intervals import percents
from fedmed.report.numbers import Interval
from fedmed.report.schema import ProtocolName, Report

WHERE: dict[ProtocolName, str] = {
    "validation": "the validation patients",
    "shifted": "the shifted validation set",
    "test": "the official test",
}


def trains_networks(report: Mapping[str, Any]) -> bool:
    """Whether whole networks were trained, and not only their last layers."""
    return "training" in report and report["training"]["mode"] == "network"


def hospitals_model(report: Mapping[str, Any]) -> str:
    """What a hospital's model in the snapshot is."""
    if trains_networks(report):
        return "what that hospital has without the others, trained as long"
    if "personalised" in report:
        return str(report["personalised"]["words"])
    return "that hospital's own after the last round"


def federated_by(report: Mapping[str, Any] | None) -> str:
    """What the federated model is, by its algorithm; a report of earlier days was of FedAvg."""
    if report and "algorithm" in report:
        return str(report["algorithm"]["words"])
    return "the average of the hospitals' updates"


def scored_on(report: Report, protocol: ProtocolName) -> str:
    """`the official test, n = 624`."""
    return f"{WHERE[protocol]}, n = {report['protocols'][protocol]['n']:,}"


def lowest_and_highest(intervals: Mapping[str, Interval]) -> tuple[str, str]:
    """Who has the lowest value, and who the highest."""
    ordered = sorted(intervals, key=lambda name: intervals[name]["value"])
    return ordered[0], ordered[-1]


def end_of_mix(hospitals: Sequence[str], share: float, degree: str) -> str:
    """Hospitals that hold the most or the least PNEUMONIA, which is `share` of their images."""
    if len(hospitals) == 1:
        return f"{name_of(hospitals[0])} ({100 * share:.0f} % PNEUMONIA, the {degree})"
    return f"the {len(hospitals):,} hospitals with {degree} PNEUMONIA ({100 * share:.0f} %)"


def listed(items: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(items[:-1]), items[-1]]))


def name_of(model: str) -> str:
    return model.replace("_", " ")


def any_of(count: int) -> str:
    return "the only hospital" if count == 1 else f"any of {number_of_hospitals(count)}"


def some_of(count: int, total: int) -> str:
    """`1 of 5 hospitals`, or all of them."""
    if count == total:
        return "the only hospital" if total == 1 else f"all {number_of_hospitals(total)}"
    return f"{count:,} of {number_of_hospitals(total)}"


def number_of_hospitals(count: int) -> str:
    return f"{count:,} hospital{'s' if count != 1 else ''}"


def in_percent(interval: Mapping[str, Any]) -> str:
    return f"{percents(interval)[0]:.1f} %"


def number_of_rounds(count: int) -> str:
    return f"{count:,} round{'s' if count != 1 else ''}"


def percentage(part: int, rest: int) -> str:
    """What share a part is of itself and the rest."""
    return f"{100 * part / (part + rest or 1):.1f} %"


def unfinished(report: Report) -> list[str]:
    """Of each update format that the comparison had to do without, why."""
    return [
        f"No comparison with updates in {format.upper()}: {reason}."
        for format, reason in report["communication"].get("unfinished", {}).items()
    ]

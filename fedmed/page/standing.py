"""How far a model's answer can be trusted: how it did on X-rays whose truth was known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from fedmed.page.elements import PercentInterval, in_percent
from fedmed.report.phrases import WHERE
from fedmed.report.schema import ProtocolName, Report, protocols


class ScoredOn(NamedTuple):
    """X-rays that models were scored on."""

    protocol: ProtocolName
    where: str  # within a sentence
    ill: int
    healthy: int


class Standing(NamedTuple):
    """A model's share of right answers among the ill and among the healthy of one protocol."""

    on: ScoredOn
    sensitivity: PercentInterval
    specificity: PercentInterval


def scored_on(report: Report | None) -> list[ScoredOn]:
    """What a report's models were scored on, the official test first."""
    if not report:
        return []
    first = sorted(protocols(report), key=lambda name: name != "test")
    return [_scored_on(report, name) for name in first]


def standings(report: Report | None, model: str) -> list[Standing]:
    """How a model did on each of them; nothing where no report tells."""
    return [
        Standing(on, in_percent(scores["recall"]), in_percent(scores["specificity"]))
        for on in scored_on(report)
        if (scores := _models(report, on.protocol).get(model))
    ]


def _scored_on(report: Report, name: ProtocolName) -> ScoredOn:
    models = _models(report, name)
    scores = models["federated"]
    # Swapped validation looks at each X-ray several times.
    looks = scores["n"] // (report["protocols"][name]["n"] or 1) or 1
    healthy, ill = (sum(row) // looks for row in scores["confusion_matrix"])
    return ScoredOn(name, WHERE[name], ill, healthy)


def _models(report: Any, name: str) -> Mapping[str, Any]:
    return report["protocols"][name]["models"]

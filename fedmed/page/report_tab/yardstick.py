"""The Report tab's yardstick: the exact optimum, and what each hospital gained and gave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from fedmed.page.rendering import render
from fedmed.report.claims_federation import (
    contribution,
    optimum,
    personal,
    poison,
    worst_off,
)
from fedmed.report.highlights import displayed_models, note
from fedmed.task import model_title

Fields = Mapping[str, Any]


class Row(NamedTuple):
    """A model beside the optimum; of a hospital alone, also what it gained and gave."""

    model: str  # for its colour
    title: str
    near: Fields
    gain: str  # in points of accuracy, at its own mix of patients
    gave: str  # its Shapley value


def yardstick(report: Fields) -> str:
    """A line for the optimum, the central and the federated model, and each hospital alone."""
    found = report.get("yardstick")
    if not found:
        return ""
    gains, shares = report.get("gains", {}), found["contribution"] or {}
    done = len(found["rounds"])
    rows = [
        Row("", "Exact optimum", found["optimum"], "", ""),
        Row("central", model_title("central"), found["central"], "", ""),
        Row(
            "federated",
            f"{model_title('federated')}, {done:,} round{'s' if done != 1 else ''}",
            found["rounds"][-1],
            "",
            "",
        ),
    ]
    for name in displayed_models(found["alone"]):
        gain = gains[name]["own_mix"] if name in gains else None
        gave = shares.get("hospitals", {}).get(name)
        rows.append(
            Row(
                name,
                f"{model_title(name)}, alone",
                found["alone"][name],
                "" if gain is None else _signed(100 * (gain["federated"] - gain["alone"]), 1),
                "" if gave is None else _signed(gave, 3),
            )
        )
    told = (rule(report, "test") for rule in (poison, optimum, worst_off, personal, contribution))  # type: ignore[arg-type]
    return render(
        "report/yardstick.html",
        rows=rows,
        told=[text for text in told if text],
        method=found["method"],
        note=note(found["alone"]),
    )


def _signed(number: float, digits: int) -> str:
    return f"{number:+.{digits}f}".replace("-", "−")

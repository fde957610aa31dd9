"""The Report tab of a federation between machines: one model, scored where the patients are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from fedmed.page.elements import PercentInterval, in_percent
from fedmed.page.rendering import render
from fedmed.page.report_tab import run_facts
from fedmed.page.report_tab.tab import Link, link
from fedmed.report.machines_report import ALONE, MachinesReport, told
from fedmed.task import CLASSES, ClassName, model_title

COLUMNS = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced",
    "precision": "Precision",
    "recall": "Recall",
    "specificity": "Specificity",
    "f1": "F1",
}


class Row(NamedTuple):
    """Where the federated model was scored; None where no X-ray tells a metric."""

    title: str
    xrays: int
    cells: list[PercentInterval | None]


class Bar(NamedTuple):
    """What a hospital trained on."""

    title: str
    images: Mapping[ClassName, int]
    total: int
    patients: int


def html(report: MachinesReport) -> str:
    """The whole tab."""
    protocol = report["protocols"].get("validation")
    bars = [
        Bar(
            model_title(member["name"]),
            (images := {label: member["images"][label] for label in CLASSES}),
            sum(images.values()),
            member["patients"],
        )
        for member in report["partition"]["hospitals"]
    ]
    return render(
        "report/machines.html",
        told=told(report),
        alone=ALONE,
        download=_download(report),
        simulated=report["data"]["simulated"],
        description=protocol["description"] if protocol else "",
        columns=COLUMNS.values(),
        rows=_rows(protocol) if protocol else [],
        hospitals=bars,
        largest=max(bar.total for bar in bars) or 1,
        machines=run_facts.machines(report),
        travelled=_travelled(report),
        recipe=_settings(report),
    )


def _rows(protocol: Mapping[str, Any]) -> list[Row]:
    scored = {"All hospitals": protocol["models"]["federated"]} | {
        model_title(name): scores for name, scores in protocol["hospitals"].items()
    }
    return [
        Row(
            title,
            scores["n"],
            [in_percent(scores[name]) if name in scores else None for name in COLUMNS],
        )
        for title, scores in scored.items()
    ]


def _travelled(report: MachinesReport) -> str:
    communication = report["communication"]
    sent = communication["formats"][communication["sent"]]
    up, down = (
        sum(sum(one[way].values()) for one in report["rounds"])
        for way in ("bytes_up", "bytes_down")
    )
    size, words = run_facts.update(report)
    facts = {
        "One update": f"{size}: {words}",
        "Rounds": f"{communication['rounds']:,}",
        "From the hospitals": f"{up:,} bytes",
        "To the hospitals": f"{down:,} bytes",
        "In all": f"{sent['run_bytes']:,} bytes of messages; the engine's own come to them",
    }
    return render("report/facts.html", facts=facts)


def _settings(report: MachinesReport) -> str:
    recipe: Mapping[str, Any] = report["recipe"]
    facts = {"Recipe": f"{recipe['name']}: {recipe['description']}"}
    facts |= {
        name.replace("_", " ").capitalize(): str(value)
        for name, value in recipe.items()
        if name not in ("name", "description")
    }
    facts |= {name: str(value) for name, value in report["environment"].items()}
    return render("report/facts.html", facts=facts)


def _download(report: MachinesReport) -> Link:
    text = json.dumps(report, ensure_ascii=False)
    return link("evaluation.json", "application/json", text.encode())

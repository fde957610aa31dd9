"""The Report tab of a federation between machines: one model, scored where the patients are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from fedmed.page.elements import PercentInterval, in_percent
from fedmed.page.rendering import render
from fedmed.page.report_tab import run_facts, tables
from fedmed.page.report_tab.tab import Link, link
from fedmed.report.machines_report import ALONE, HeldOut, MachinesReport, scored_at, told

COLUMNS = {name: title for name, title in tables.COLUMNS.items() if name != "auc"}


class Row(NamedTuple):
    """Where the federated model was scored; None where nothing counted tells a metric."""

    title: str
    counted: int
    cells: list[PercentInterval | None]


def html(report: MachinesReport) -> str:
    """The whole tab."""
    protocol = report["protocols"].get("validation")
    return render(
        "report/machines.html",
        told=told(report),
        alone=ALONE,
        download=_download(report),
        simulated=report["data"]["simulated"],
        description=protocol["description"] if protocol else "",
        columns=COLUMNS.values(),
        noise=protocol.get("noise", {}).get("words", "") if protocol else "",
        rows=_rows(protocol) if protocol else [],
        hospitals=run_facts.told(report["partition"]["hospitals"]),
        machines=run_facts.machines(report),
        travelled=_travelled(report),
        recipe=_settings(report),
    )


def _rows(protocol: HeldOut) -> list[Row]:
    return [
        Row(
            title,
            scores["n"],
            [in_percent(scores[name]) if name in scores else None for name in COLUMNS],
        )
        for title, scores in scored_at(protocol).items()
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

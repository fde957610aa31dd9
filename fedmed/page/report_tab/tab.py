"""The Report tab: the stored evaluation.json, drawn. Nothing is computed anew."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from fedmed.page.elements import PercentInterval, in_percent
from fedmed.page.rendering import render
from fedmed.page.report_tab import curves, run_facts, tables
from fedmed.page.report_tab.studies import studies
from fedmed.page.report_tab.yardstick import yardstick
from fedmed.report import claims
from fedmed.report.highlights import displayed_models, note
from fedmed.report.phrases import hospitals_model, trains_networks
from fedmed.report.reliability import reliability
from fedmed.report.schema import PROTOCOLS, ProtocolName, protocols
from fedmed.task import model_title

Fields = Mapping[str, Any]

TITLES: dict[ProtocolName, str] = {
    "test": "Official test",
    "validation": "Validation",
    "shifted": "Shifted validation",
}
ORDER = list(TITLES)
LINK_BYTES = 500_000
COMPARED = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "f1": "F1",
    "auc": "AUC",
}


class Difference(NamedTuple):
    """Federated minus central in one metric, in signed points."""

    title: str
    value: str
    low: str
    high: str
    leaves_out_zero: bool  # its interval


class Protocol(NamedTuple):
    """What is drawn of the scores on one set of X-rays."""

    key: str
    headline: str
    central: PercentInterval  # balanced accuracy
    federated: PercentInterval
    differences: list[Difference]  # none where they were not computed
    description: str
    images: int
    patients: int
    scores: str
    confusion: str
    charts: dict[str, str]  # by title; none where the report has no curves
    reliability: str
    pairs: str  # of swapped validation


class Link(NamedTuple):
    """A download that holds the file itself: no request, and no file on the server."""

    file: str
    title: str
    href: str


def html(report: Any) -> str:
    """The whole tab; a notice where the models came without a report."""
    if not report:
        return render("report/none.html")
    models = report["protocols"]["test"]["models"]
    return render(
        "report/tab.html",
        downloads=_downloads(report),
        simulated=report["data"]["simulated"],
        whole=trains_networks(report),
        switches=TITLES,
        protocols=[_protocol(report, name) for name in sorted(protocols(report), key=ORDER.index)],
        update=run_facts.update(report),
        note=note(models),
        hospitals_model=hospitals_model(report),
        legend_titles={model: model_title(model) for model in displayed_models(models)},
        round_metrics=curves.ROUND_METRICS,
        rounds={metric: curves.rounds(report, metric) for metric in curves.ROUND_METRICS},
        hospitals=run_facts.hospitals(report),
        yardstick=yardstick(report),
        study=studies(report),
        bytes_chart=run_facts.bytes_chart(report),
        bytes_table=run_facts.bytes_table(report),
        audit=run_facts.audit(report),
        machines=run_facts.machines(report),
        privacy=run_facts.privacy(report),
        making=run_facts.making(report),
    )


def _protocol(report: Any, key: ProtocolName) -> Protocol:
    scored, compared = report["protocols"][key], report["comparison"].get(key)
    models = scored["models"]
    description = scored["description"].rstrip(".")
    return Protocol(
        key=key,
        headline=claims.gap(report, key) or claims.framing(report, key),
        central=in_percent(models["central"]["balanced_accuracy"]),
        federated=in_percent(models["federated"]["balanced_accuracy"]),
        differences=[
            _difference(title, compared[f"{metric}_difference"])
            for metric, title in COMPARED.items()
            if compared
        ],
        description=description[:1].upper() + description[1:],
        images=scored["n"],
        patients=scored["patients"],
        scores=tables.table(report, key),
        confusion=tables.confusion(report, key),
        charts=_charts(models) if key in PROTOCOLS else {},
        reliability=reliability(report, key),
        pairs=tables.pairs(models) if key == "shifted" else "",
    )


def _charts(models: Fields) -> dict[str, str]:
    charts: dict[str, str] = {"ROC": curves.roc(models), "Calibration": curves.calibration(models)}
    if all("calibrated" in models[model] for model in displayed_models(models)):
        charts["Calibration, as it is"] = charts.pop("Calibration")
        charts["Calibration, with temperatures"] = curves.calibration(models, "calibrated")
    return charts


def _difference(title: str, interval: Fields) -> Difference:
    value, low, high = (f"{points:+.1f}".replace("-", "−") for points in in_percent(interval))
    return Difference(title, value, low, high, interval["low"] > 0 or interval["high"] < 0)


def _downloads(report: Any) -> list[Link]:
    text = json.dumps(report, ensure_ascii=False)
    return [
        link("evaluation.json", "application/json", text.encode()),
        link("evaluation.csv", "text/csv", tables.as_csv(report).encode()),
    ]


def link(file: str, kind: str, content: bytes) -> Link:
    """What thousands of hospitals make longer than LINK_BYTES is compressed."""
    title = file.split(".")[1].upper()
    if len(content) > LINK_BYTES:
        file, kind, content = f"{file}.gz", "application/gzip", gzip.compress(content, mtime=0)
    else:
        kind += ";charset=utf-8"
    return Link(file, title, f"data:{kind};base64,{base64.b64encode(content).decode()}")

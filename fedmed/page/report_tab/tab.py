"""The Report tab: the stored evaluation.json, drawn. Nothing is computed anew."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from fedmed.page.report_tab import curves, run_facts, tables
from fedmed.report.highlights import note, shown
from fedmed.report.schema import PROTOCOLS

Fields = Mapping[str, Any]

LINK_BYTES = 500_000
SPLITS = {"test": "Official test", "validation": "Validation"}
NONE = (
    '<div class="fm-report"><div class="fm-panel"><h2>No report</h2><p>These models came without '
    "an evaluation.json: nothing is known here about how they were trained or how well they do. "
    "The Compare tab works as usual.</p></div></div>"
)


def html(report: Fields | None) -> str:
    """The whole tab; a notice where the models came without a report."""
    if not report:
        return NONE
    return (
        '<div class="fm-report" data-protocol="test" data-metric="balanced_accuracy">'
        f"{_opening(report)}{_tables(report)}{_curves(report)}"
        f'<div class="fm-twin">{_rounds(report)}{_hospitals(report)}</div>'
        f"{_travelled(report)}{_data(report)}</div>"
    )


def _opening(report: Fields) -> str:
    simulated = (
        '<p class="fm-warning"><b>Simulated X-rays.</b> These models were trained and scored on '
        "pictures of no patient; the figures say nothing about real ones.</p>"
        if report["data"]["simulated"]
        else ""
    )
    words = _both(lambda protocol: f"<h2>{escape(report['comparison'][protocol]['words'])}</h2>")
    return (
        f'<div class="fm-top">{_switch("protocol", SPLITS)}{_downloads(report)}</div>'
        f"{simulated}{words}{_both(lambda protocol: _tiles(report, protocol))}"
        f"{_both(lambda protocol: _described(report, protocol))}"
    )


def _tiles(report: Fields, protocol: str) -> str:
    models = report["protocols"][protocol]["models"]
    return (
        f'<div class="fm-figures">{_tile("Central", models["central"]["balanced_accuracy"])}'
        f"{_tile('Federated', models['federated']['balanced_accuracy'])}"
        f"{_differences(report['comparison'][protocol])}"
        f'<div class="fm-figure"><span>Smaller updates</span><b>{run_facts.saving(report)}</b>'
        "<small>than sending the whole model</small></div></div>"
    )


def _differences(compared: Fields) -> str:
    """All paired differences; those whose interval leaves out zero stand out."""
    rows = ""
    for column in ("accuracy", "balanced_accuracy", "f1", "auc"):
        interval = compared[f"{column}_difference"]
        value, low, high = (_signed(100 * interval[end]) for end in ("value", "low", "high"))
        sure = ' class="fm-sure"' if interval["low"] > 0 or interval["high"] < 0 else ""
        name = curves.ROUND_METRICS.get(column, column.upper())
        rows += f"<div{sure}><dt>{name}</dt><dd>{value}<small>{low} to {high}</small></dd></div>"
    return (
        '<div class="fm-figure"><span>Federated minus central, in points</span>'
        f'<dl class="fm-differences">{rows}</dl></div>'
    )


def _signed(points: float) -> str:
    return f"{points:+.1f}".replace("-", "−")


def _tile(name: str, interval: Fields) -> str:
    value, low, high = (100 * interval[end] for end in ("value", "low", "high"))
    return (
        f'<div class="fm-figure"><span>{name}</span><b>{value:.1f}<i>%</i></b>'
        f"<small>balanced accuracy, 95 % interval {low:.1f} to {high:.1f}</small></div>"
    )


def _described(report: Fields, protocol: str) -> str:
    found = report["protocols"][protocol]
    words = found["description"].rstrip(".")
    return (
        f'<p class="fm-note">{escape(words[:1].upper() + words[1:])}. {found["n"]:,} images of '
        f"{found['patients']:,} patients; intervals are 95 %, from a bootstrap over patients.</p>"
    )


def _tables(report: Fields) -> str:
    some = note(report["protocols"]["test"]["models"])
    return _section(
        "Every model, every metric",
        "In percent. Choose a column to sort by it. “Alone” is a hospital that never took part. "
        f"{some}",
        _both(lambda protocol: tables.table(report, protocol)),
    ) + _section(
        "Confusion matrices",
        "Rows are what the X-rays show, columns what the models say at their thresholds.",
        _both(
            lambda protocol: f'<div class="fm-matrices">{tables.confusion(report, protocol)}</div>'
        ),
    )


def _curves(report: Fields) -> str:
    def pair(protocol: str) -> str:
        models = report["protocols"][protocol]["models"]
        return (
            f'<div class="fm-charts"><figure><figcaption>ROC</figcaption>{curves.roc(models)}'
            "</figure><figure><figcaption>Calibration</figcaption>"
            f"{curves.calibration(models)}</figure></div>"
        )

    return _section("Curves", _legend(report), _both(pair))


def _rounds(report: Fields) -> str:
    drawn = "".join(
        f'<div data-metric-is="{metric}">{curves.rounds(report, metric)}</div>'
        for metric in curves.ROUND_METRICS
    )
    return _section(
        "Round by round",
        "On held-out patients: the federated model against the central one, and the hospitals that "
        "train alone. Shaded: 95 % intervals.",
        _switch("metric", curves.ROUND_METRICS, pressed="balanced_accuracy") + drawn,
    )


def _hospitals(report: Fields) -> str:
    return _section(
        "Who held what",
        "A bar is as long as the hospital has images, and divided by class.",
        run_facts.hospitals(report),
    )


def _travelled(report: Fields) -> str:
    return _section(
        "What travelled",
        "Only heads leave a hospital. Sizes are those of serialised updates, measured; the whole "
        "model is computed, for comparison. From left to right: an update, a round, the run.",
        f'<div class="fm-charts"><figure>{run_facts.bytes_chart(report)}</figure>'
        f"<figure>{run_facts.bytes_table(report)}</figure></div>",
    )


def _data(report: Fields) -> str:
    return (
        _section("The data, audited", "", run_facts.audit(report))
        + f'<details class="fm-panel"><summary>How it was made</summary>{run_facts.making(report)}'
        "</details>"
    )


def _legend(report: Fields) -> str:
    names = report["protocols"]["test"]["models"]
    return (
        '<span class="fm-legend">'
        + "".join(
            f'<span data-model="{escape(model)}"><i></i>{escape(tables.title(model))}</span>'
            for model in shown(names)
        )
        + "</span>"
    )


def _section(heading: str, note: str, body: str) -> str:
    lead = f'<div class="fm-note">{note}</div>' if note else ""
    return f'<section class="fm-panel"><h3>{heading}</h3>{lead}{body}</section>'


def _both(draw: Callable[[str], str]) -> str:
    """Both protocols; the style sheet shows the one chosen."""
    return "".join(
        f'<div data-protocol-is="{protocol}">{draw(protocol)}</div>' for protocol in PROTOCOLS
    )


def _switch(name: str, choices: Mapping[str, str], pressed: str | None = None) -> str:
    chosen = pressed or next(iter(choices))
    buttons = "".join(
        f'<button type="button" data-to="{key}" aria-pressed="{str(key == chosen).lower()}">'
        f"{words}</button>"
        for key, words in choices.items()
    )
    return f'<div class="fm-switch" role="group" data-switch="{name}">{buttons}</div>'


def _downloads(report: Fields) -> str:
    """Links that hold the files themselves: no request, and no file on the server.

    What thousands of hospitals make longer than LINK_BYTES is compressed.
    """
    files = {
        "evaluation.json": ("application/json", json.dumps(report, ensure_ascii=False)),
        "evaluation.csv": ("text/csv", tables.as_csv(report)),
    }
    links = "".join(_link(name, kind, text.encode()) for name, (kind, text) in files.items())
    return f'<div class="fm-downloads"><span>Download</span>{links}</div>'


def _link(name: str, kind: str, content: bytes) -> str:
    words = name.split(".")[1].upper()
    if len(content) > LINK_BYTES:
        name, kind, content = f"{name}.gz", "application/gzip", gzip.compress(content, mtime=0)
    else:
        kind += ";charset=utf-8"
    encoded = base64.b64encode(content).decode()
    return f'<a download="{name}" href="data:{kind};base64,{encoded}">{words}</a>'

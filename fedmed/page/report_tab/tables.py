"""The Report tab's numbers: the sortable table of metrics, confusion matrices, the CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from html import escape
from io import StringIO
from typing import Any

from fedmed.page.elements import shape
from fedmed.report.highlights import note, shown, spread
from fedmed.report.schema import PROTOCOLS
from fedmed.task import CLASSES

Fields = Mapping[str, Any]

COLUMNS = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced",
    "precision": "Precision",
    "recall": "Recall",
    "specificity": "Specificity",
    "f1": "F1",
    "auc": "AUC",
}
FLOOR = 40  # percent: where the little interval bars begin


def title(model: str) -> str:
    """`Hospital 1` for `hospital_1`."""
    return model.replace("_", " ").capitalize()


def rows(report: Fields, protocol: str) -> Iterator[tuple[str, str, Fields]]:
    """Every scored model of a protocol: its key, its title and its METRICS.

    Behind the seven come the hospitals trained alone, under the key `hospital_1 alone`.
    """
    for model, metrics in report["protocols"][protocol]["models"].items():
        yield model, title(model), metrics
    for model, metrics in report["local_only"][protocol].items():
        yield f"{model} alone", f"{title(model)}, alone", metrics


def table(report: Fields, protocol: str) -> str:
    """The metrics with their intervals; page.js sorts it. Of many hospitals, some and a median."""
    header = "".join(
        f'<th scope="col" aria-sort="none"><button type="button">{name}</button></th>'
        for name in COLUMNS.values()
    )
    body = "".join(
        f'<tr data-model="{escape(key.split()[0])}"{" class=fm-alone" if " " in key else ""}>'
        f'<th scope="row">{escape(name)}</th>'
        f"{''.join(_cell(metrics[column]) for column in COLUMNS)}"
        f"{_threshold(metrics)}</tr>"
        for key, name, metrics in _shown_rows(report, protocol)
    )
    return (
        f'<div class="fm-scroll" tabindex="0" role="region" aria-label="Metrics, {protocol}">'
        f'<table class="fm-scores"><thead><tr><th scope="col">Model</th>{header}'
        f'<th scope="col">Threshold</th></tr></thead><tbody>{body}</tbody></table></div>'
    )


def confusion(report: Fields, protocol: str) -> str:
    """A confusion matrix for each model; a cell's shade is its share of the true class."""
    return "".join(
        _matrix(model, metrics["confusion_matrix"])
        for model, metrics in _shown(report["protocols"][protocol]["models"])
    )


def as_csv(report: Fields) -> str:
    """The table of both protocols, one number a line, with its interval."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["protocol", "model", "metric", "value", "low", "high", "n"])
    for protocol in PROTOCOLS:
        for key, _, metrics in rows(report, protocol):
            for column in COLUMNS:
                found = [metrics[column][end] for end in ("value", "low", "high")]
                writer.writerow([protocol, key, column, *found, metrics["n"]])
    return out.getvalue()


def _shown(scores: Fields) -> Iterator[tuple[str, Fields]]:
    return ((model, scores[model]) for model in shown(scores))


def _shown_rows(report: Fields, protocol: str) -> Iterator[tuple[str, str, Fields]]:
    """`rows` of the models that are shown, then what stands for the others."""
    models, alone = report["protocols"][protocol]["models"], report["local_only"][protocol]
    kept = {*shown(models), *(f"{model} alone" for model in shown(alone))}
    yield from (row for row in rows(report, protocol) if row[0] in kept)
    if note(models):
        yield "hospitals", "All hospitals: median, 95 %", spread(models, COLUMNS)
        yield "hospitals alone", "All, alone: median, 95 %", spread(alone, COLUMNS)


def _threshold(metrics: Fields) -> str:
    threshold = metrics.get("threshold")
    if threshold is None:
        return '<td class="fm-threshold"></td>'
    rule = escape(threshold["rule"])
    return f'<td class="fm-threshold" data-tip="{rule}">{threshold["value"]:.2f}</td>'


def _cell(interval: Fields) -> str:
    value, low, high = (100 * interval[end] for end in ("value", "low", "high"))
    start = max(low - FLOOR, 0) / (100 - FLOOR)
    width = max(high - max(low, FLOOR), 0.6) / (100 - FLOOR)
    return (
        f'<td data-value="{interval["value"]}">{value:.1f}'
        f"<small>{low:.1f}–{high:.1f}</small>"
        f'<i><b style="left:{100 * start:.1f}%;width:{100 * width:.1f}%"></b></i></td>'
    )


def _matrix(model: str, counts: list[list[int]]) -> str:
    cells = "".join(
        f'<tr><th scope="row">{_sign(CLASSES[truth])}</th>'
        + "".join(_count(truth, called, row) for called in range(len(CLASSES)))
        + "</tr>"
        for truth, row in enumerate(counts)
    )
    heads = "".join(f'<th scope="col">{_sign(name)}</th>' for name in CLASSES)
    return (
        f'<table class="fm-confusion" data-model="{escape(model)}">'
        f"<caption>{escape(title(model))}</caption>"
        f"<thead><tr><td></td>{heads}</tr></thead><tbody>{cells}</tbody></table>"
    )


def _sign(label: str) -> str:
    return f'<span data-label="{label}">{shape(label)}<span class="fm-word">{label}</span></span>'


def _count(truth: int, called: int, row: list[int]) -> str:
    share = row[called] / (sum(row) or 1)
    kind = "right" if truth == called else "wrong"
    tip = f"{row[called]} of {sum(row)} {CLASSES[truth]} called {CLASSES[called]}"
    return (
        f'<td class="fm-{kind}" style="--share:{share:.3f}" data-tip="{tip}">{row[called]:,}</td>'
    )

"""The Report tab's numbers: the sortable table of metrics, confusion matrices, the CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from io import StringIO
from typing import Any, NamedTuple

from fedmed.page.elements import PercentInterval, in_percent
from fedmed.page.rendering import render
from fedmed.report.highlights import displayed_models, note, spread
from fedmed.report.phrases import trains_networks
from fedmed.report.schema import Report, protocols
from fedmed.task import CLASSES, ClassName, model_title

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
BY_PAIR = ("balanced_accuracy", "auc")
FLOOR = 40  # percent: where the little interval bars begin


class Score(NamedTuple):
    """A metric of a model: the stored share, its interval, and the bar under it, in percent."""

    share: float
    interval: PercentInterval
    bar_left: float
    bar_width: float


class Row(NamedTuple):
    """A model's line of the table."""

    model: str
    title: str
    alone: bool  # a hospital that trained alone
    cells: list[Score]
    threshold: Fields | None


class Count(NamedTuple):
    """A cell of a confusion matrix: images of one true class, by the class predicted."""

    predicted: str
    images: int
    of: int
    share: float


class Matrix(NamedTuple):
    """A model's confusion matrix; its rows are keyed by the true class."""

    model: str
    title: str
    rows: Mapping[ClassName, list[Count]]


def rows(report: Fields, protocol: str) -> Iterator[tuple[str, str, Fields]]:
    """Every scored model of a protocol: its key, its title and its METRICS.

    Behind the models come the hospitals trained alone, under the key `hospital_1 alone`; where
    whole networks were trained they are the hospitals' models, and come once.
    """
    models, alone = report["protocols"][protocol]["models"], report["local_only"][protocol]
    once = trains_networks(report)
    for model, metrics in models.items():
        if not (once and model in alone):
            yield model, model_title(model), metrics
    for model, metrics in alone.items():
        scored = models.get(model, metrics) if once else metrics
        yield f"{model} alone", f"{model_title(model)}, alone", scored


def table(report: Fields, protocol: str) -> str:
    """The metrics with their intervals. Of many hospitals, some and a median."""
    return render(
        "report/scores.html",
        protocol=protocol,
        columns=COLUMNS.values(),
        rows=[
            Row(
                model=key.split()[0],
                title=title,
                alone=" " in key,
                cells=[_score(metrics[column]) for column in COLUMNS],
                threshold=metrics.get("threshold"),
            )
            for key, title, metrics in _displayed_rows(report, protocol)
        ],
    )


def confusion(report: Fields, protocol: str) -> str:
    """A confusion matrix for each model that is shown."""
    models = report["protocols"][protocol]["models"]
    matrices = [
        _matrix(model, models[model]["confusion_matrix"]) for model in displayed_models(models)
    ]
    return render("report/confusion.html", matrices=matrices)


def pairs(models: Mapping[str, Fields]) -> str:
    """Balanced accuracy and AUC of central and federated on each pair of shifts, in percent."""
    kept = ("central", "federated")
    names = list(models["federated"]["pairs"])
    found = {
        name: [100 * models[model]["pairs"][name][key] for key in BY_PAIR for model in kept]
        for name in names
    }
    return render("report/pairs.html", models=[model_title(model) for model in kept], pairs=found)


def as_csv(report: Report) -> str:
    """The table of all protocols, one number a line, with its interval."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["protocol", "model", "metric", "value", "low", "high", "n"])
    for protocol in protocols(report):
        for key, _, metrics in rows(report, protocol):
            for column in COLUMNS:
                interval = [metrics[column][end] for end in ("value", "low", "high")]
                writer.writerow([protocol, key, column, *interval, metrics["n"]])
    return out.getvalue()


def _displayed_rows(report: Fields, protocol: str) -> Iterator[tuple[str, str, Fields]]:
    """`rows` of the models that are shown, then what stands for the others."""
    models, alone = report["protocols"][protocol]["models"], report["local_only"][protocol]
    kept = {*displayed_models(models), *(f"{model} alone" for model in displayed_models(alone))}
    yield from (row for row in rows(report, protocol) if row[0] in kept)
    if note(models):
        if not trains_networks(report):
            yield "hospitals", "All hospitals: median, 95 %", spread(models, COLUMNS)
        yield "hospitals alone", "All, alone: median, 95 %", spread(alone, COLUMNS)


def _score(interval: Fields) -> Score:
    inside = in_percent(interval)
    return Score(
        share=interval["value"],
        interval=inside,
        bar_left=100 * max(inside.low - FLOOR, 0) / (100 - FLOOR),
        bar_width=100 * max(inside.high - max(inside.low, FLOOR), 0.6) / (100 - FLOOR),
    )


def _matrix(model: str, counts: list[list[int]]) -> Matrix:
    cells = {
        truth: [
            Count(predicted, images, sum(row), images / (sum(row) or 1))
            for predicted, images in zip(CLASSES, row, strict=True)
        ]
        for truth, row in zip(CLASSES, counts, strict=True)
    }
    return Matrix(model, model_title(model), cells)

"""The Report tab's curves: ROC, calibration, and the federated model round by round."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from fedmed.page import charts
from fedmed.page.charts import Frame
from fedmed.page.elements import in_percent
from fedmed.report.highlights import displayed_models
from fedmed.task import is_hospital, model_title

Fields = Mapping[str, Any]

ROUND_METRICS = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "auc": "AUC",
}


def roc(models: Mapping[str, Fields]) -> Markup:
    """ROC curves, with each model's operating point."""
    frame = Frame()
    marks = [
        charts.axes(
            frame, charts.shares(), charts.shares(), "False positives, % of NORMAL", "Recall, %"
        ),
        charts.rule(frame, (0, 0), (1, 1)),
    ]
    for model in _background_first(models):
        metrics = models[model]
        points = list(zip(metrics["roc"]["fpr"], metrics["roc"]["tpr"], strict=True))
        tip = f"{model_title(model)}: AUC {in_percent(metrics['auc'])}"
        marks.append(charts.line(frame, points, model=model, tip=tip))
    for model in _background_first(models):
        metrics = models[model]
        recall, specificity = metrics["recall"]["value"], metrics["specificity"]["value"]
        tip = (
            f"{model_title(model)} at its threshold {metrics['threshold']['value']:.2f}: "
            f"recall {100 * recall:.1f} %, specificity {100 * specificity:.1f} %"
        )
        marks.append(charts.dot(frame, (1 - specificity, recall), model=model, tip=tip))
    return charts.svg(frame, "ROC curves of all models", *marks)


def calibration(models: Mapping[str, Fields], field: str = "calibration") -> Markup:
    """How often it was pneumonia where a model said so with a given probability.

    `field` is `calibrated` for probabilities as they are with temperatures.
    """
    frame = Frame()
    marks = [
        charts.axes(
            frame, charts.shares(), charts.shares(), "Predicted P(PNEUMONIA), %", "Observed, %"
        ),
        charts.rule(frame, (0, 0), (1, 1)),
    ]
    for model in _background_first(models):
        bins = models[model][field]
        points = list(zip(bins["predicted"], bins["observed"], strict=True))
        marks.append(charts.line(frame, points, model=model, tip=model_title(model)))
        for point, count in zip(points, bins["count"], strict=True):
            tip = (
                f"{model_title(model)}: said {100 * point[0]:.0f} %, was {100 * point[1]:.0f} % "
                f"of {count} images"
            )
            radius = 2.5 + math.sqrt(count / sum(bins["count"])) * 5
            # A few images in a bin make a line of its own: hospitals' dots show when pointed at.
            kind = "fm-faint" if is_hospital(model) else ""
            marks.append(charts.dot(frame, point, model=model, tip=tip, radius=radius, kind=kind))
    return charts.svg(frame, "Calibration of all models", *marks)


def rounds(report: Fields, metric: str) -> Markup:
    """The federated model after each round, the central one, and the hospitals on their own."""
    history = [(entry["round"], entry["validation"][metric]) for entry in report["rounds"]]
    central = report["protocols"]["validation"]["models"]["central"][metric]
    everyone = report["local_only"]["validation"]
    alone = {name: everyone[name][metric] for name in displayed_models(everyone)}
    last = max(number for number, _ in history)
    drawn = [interval for _, interval in history] + [central]
    low = min([interval["low"] for interval in drawn] + [i["value"] for i in alone.values()])
    bottom = max(math.floor(low * 20 - 0.2) / 20, 0.0)
    # The strip right of the last round is for the hospitals alone.
    strip = max(last - 1, 1) * 0.2
    frame = Frame(x=(1 - strip * 0.3, last + 1.7 * strip), y=(bottom, 1.0), width=440, height=300)
    edges = (frame.x[0], last + strip * 0.3)
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.25) if (1 - bottom) / s <= 6)
    marks = [
        charts.axes(
            frame,
            [*_round_ticks(last), (last + strip, "alone")],
            _ticks(bottom, step),
            "Round",
            f"{ROUND_METRICS[metric]}, %",
        ),
        charts.band(
            frame,
            [(edge, central["high"]) for edge in edges],
            [(edge, central["low"]) for edge in edges],
            model="central",
        ),
        charts.line(
            frame,
            [(edge, central["value"]) for edge in edges],
            model="central",
            tip=f"Central: {in_percent(central)}",
        ),
        charts.band(
            frame,
            [(number, interval["high"]) for number, interval in history],
            [(number, interval["low"]) for number, interval in history],
            model="federated",
        ),
        charts.line(
            frame,
            [(number, interval["value"]) for number, interval in history],
            model="federated",
            tip="Federated, by round",
        ),
        *(
            charts.dot(
                frame,
                (number, interval["value"]),
                model="federated",
                tip=f"Federated after round {number}: {in_percent(interval)}",
            )
            for number, interval in history
        ),
        *(
            charts.dot(
                frame,
                (last + strip * (0.7 + 0.6 * index / max(len(alone) - 1, 1)), interval["value"]),
                model=name,
                tip=f"{model_title(name)} alone: {in_percent(interval)}",
                kind="fm-alone",
            )
            for index, (name, interval) in enumerate(alone.items())
        ),
    ]
    return charts.svg(frame, f"{ROUND_METRICS[metric]} by round, validation", *marks)


def _background_first(models: Mapping[str, Fields]) -> list[str]:
    """Hospitals that are shown, before central and federated, which are drawn over them."""
    return sorted(
        displayed_models(models), key=lambda model: (model == "federated", model == "central")
    )


def _round_ticks(last: int) -> list[tuple[float, str]]:
    step = max(1, math.ceil(last / 10))
    return [(number, str(number)) for number in range(1, last + 1, step)]


def _ticks(bottom: float, step: float) -> list[tuple[float, str]]:
    first = math.ceil(bottom / step - 1e-9)
    values: Sequence[float] = [step * index for index in range(first, round(1 / step) + 1)]
    return [(value, f"{100 * value:.0f}") for value in values]

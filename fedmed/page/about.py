"""The About tab: what federated learning did here, what it does not show, and whose data it was."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, NamedTuple

from fedmed.backbones import resnet18
from fedmed.backbones.engine import pick
from fedmed.backbones.quantized import layout
from fedmed.page.elements import size
from fedmed.page.federated_words import words
from fedmed.page.links import CODE, PAPERS
from fedmed.page.rendering import render
from fedmed.task import CLASSES, DATASET, DISCLAIMER, SIMULATED, is_hospital
from fedmed.uploads.storage import KEPT_MINUTES

DRAWN = 6  # hospitals in the figure: the first ones and the last
WIDTH = 720  # of the figure, in SVG units
HEAD_NUMBERS = len(CLASSES) * (resnet18.WIDTH + 1)


class House(NamedTuple):
    """A hospital of the figure: its number, its middle, and where its arrows meet the server."""

    number: int
    x: int
    server_x: int


def html(
    config: Mapping[str, Any],
    report: Mapping[str, Any] | None,
    machines: Mapping[str, Any] | None = None,
) -> str:
    """The whole tab; `machines` stands in for a report of a federation between machines."""
    told = report or machines
    hospitals = sum(map(is_hospital, config["models"]))
    if machines:
        hospitals = len(machines["partition"]["hospitals"])
    return render(
        "about.html",
        hospitals=hospitals,
        houses=_houses(hospitals),
        update=_update(told),
        words=words(told, whole="networks" in config),
        whole="networks" in config,
        machines=machines,
        privacy=report is not None and bool(report.get("privacy")),
        described=_described(report),
        head_numbers=HEAD_NUMBERS,
        network_numbers=sum(map(prod, layout().values())),
        disclaimer=DISCLAIMER,
        code=CODE,
        papers=PAPERS,
        simulated=told is not None and told["data"]["simulated"],
        kept_minutes=KEPT_MINUTES,
        data=report["data"] if report else None,
        backbone=config.get("backbone", {}),
        engine=pick().title,
    )


def _described(report: Mapping[str, Any] | None) -> str:
    """What X-rays a snapshot was trained on, as far as its report tells; in the middle of words."""
    if not report:
        return ""
    data = report["data"]
    known = {about["title"]: about["description"] for about in (DATASET, SIMULATED)}
    told = str(data.get("description") or known.get(data["title"], ""))
    return told[:1].lower() + told[1:]


def _update(report: Mapping[str, Any] | None) -> str:
    """The size of what a hospital sends."""
    if not report:
        return "a few kB"
    communication = report["communication"]
    return size(communication["formats"][communication["sent"]]["update_bytes"])


def _houses(hospitals: int) -> list[House]:
    numbers = list(range(1, hospitals + 1))
    if hospitals > DRAWN:
        numbers = [*numbers[: DRAWN - 1], hospitals]
    middle, gap = WIDTH / 2, WIDTH / max(len(numbers), 1)
    across = [gap * (index + 0.5) for index in range(len(numbers))]
    return [
        House(number, round(x), round(middle + (x - middle) * 0.34))
        for number, x in zip(numbers, across, strict=True)
    ]

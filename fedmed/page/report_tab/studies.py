"""The Report tab's study: what many federations bear out, a chart for each question."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from fedmed.page import charts
from fedmed.page.charts import Frame
from fedmed.page.elements import size
from fedmed.page.rendering import render
from fedmed.report.numbers import Interval
from fedmed.report.studies import RULES, SKEWED
from fedmed.report.study_numbers import (
    find,
    least_epsilon,
    over_seeds,
    scored,
    split_of,
    under_every_split,
)
from fedmed.report.study_schema import Cell, Study, readable
from fedmed.report.study_table import COLUMNS, rows
from fedmed.task import model_title

AUC = "AUC on shifted validation, %"


class Mark(NamedTuple):
    """A line of a chart: a mean over seeds with its interval, in percent."""

    label: str
    found: Interval
    tip: str
    model: str = "federated"  # for its colour


class Chart(NamedTuple):
    title: str
    told: list[str]
    chart: Markup


def studies(report: Mapping[str, Any]) -> str:
    """Every question with its chart, and the table; empty where there is no study."""
    study = readable(report.get("study"))
    if not study:
        return ""
    drawn = [
        Chart(title, [text for name in names if (text := RULES[name](study))], chart)
        for title, names, marks, axis in _CHARTS
        if (chart := dots(title, marks(study), axis))
    ]
    return render(
        "report/study.html", charts=drawn, columns=COLUMNS, rows=[*rows(study)], study=study
    )


def dots(title: str, marks: Sequence[Mark], axis: str) -> Markup:
    """A line for each mark, its label above it; nothing where there are no marks."""
    if not marks:
        return Markup()
    low = min(100 * mark.found["low"] for mark in marks)
    high = max(100 * mark.found["high"] for mark in marks)
    step = next((s for s in (0.5, 1, 2, 5, 10, 20) if (high - low) / s <= 6), 50.0)
    first, last = step * (low // step), step * -(-high // step)
    last = last if last > first else first + step
    frame = Frame(
        x=(first, last), y=(-0.6, len(marks) - 0.4), width=440, height=58 + 26 * len(marks),
        left=max(158, 14 + 7 * max(len(mark.label) for mark in marks)), right=16, top=4,
    )  # fmt: skip
    count = round((last - first) / step)
    ticks = [(first + step * n, f"{first + step * n:g}") for n in range(count + 1)]
    drawn = [charts.axes(frame, ticks, [], axis, "")]
    for row, mark in enumerate(reversed(marks)):
        ends = [(100 * mark.found[end], float(row)) for end in ("low", "high")]
        drawn += [
            charts.text(frame.left - 10, frame.down(row) + 4, mark.label, anchor="end"),
            charts.rule(frame, ends[0], ends[1], kind="fm-rail"),
            charts.dot(frame, (100 * mark.found["value"], row), model=mark.model, tip=mark.tip),
        ]
    return charts.svg(frame, title, *drawn)


def _marks(cells: Sequence[Cell], label: Callable[[Cell], str]) -> list[Mark]:
    return [
        Mark(label(cell), _within(found), _tip(cell, found))
        for cell in cells
        if (found := scored(cell))
    ]


def _within(found: Interval) -> Interval:
    """Cut an interval of a score, as seeds far apart give, to what a score can be."""
    return {**found, "low": max(found["low"], 0.0), "high": min(found["high"], 1.0)}


def _tip(cell: Cell, found: Interval) -> str:
    value, low, high = (100 * found[end] for end in ("value", "low", "high"))
    return (
        f"{cell['algorithm']}, {split_of(cell)}: AUC {value:.1f} ({low:.1f} to {high:.1f}), "
        f"{len(cell['seeds'])} seeds, {cell['bytes']:,} bytes a run"
    )


def _by_bytes(study: Study) -> list[Mark]:
    cells = [c for f in ("fp32", "fp16", "int8") for c in find(study, partition=SKEWED, format=f)]
    cells = sorted((c for c in cells if "bytes" in c), key=lambda cell: cell["bytes"])
    return _marks(
        cells,
        lambda c: (
            f"{c['algorithm']}{'' if c['format'] == 'fp32' else ' ' + c['format'].upper()}, "
            f"{size(c['bytes'])}"
        ),
    )


def _splits(study: Study) -> list[Mark]:
    return _marks(find(study, algorithm="fedavg"), split_of)


def _epsilons(study: Study) -> list[Mark]:
    marks = []
    everywhere = {c["algorithm"] for c in under_every_split(_private(study))}
    for split in (SKEWED, "iid"):
        cells = [
            c for c in study["cells"]
            if c["algorithm"] in everywhere
            and c["partition"] == split and c["poison"] is None and c["format"] == "fp32"
            and (c["epsilon"] is not None or c["algorithm"] == "fedavg")
        ]  # fmt: skip
        if any(c["epsilon"] is not None for c in cells):
            ordered = sorted(cells, key=lambda c: -(c["epsilon"] or 1e9))
            marks += _marks(
                ordered,
                lambda c: (
                    f"{split_of(c)}, {'none' if c['epsilon'] is None else c['epsilon']:}"
                    + ("" if c["algorithm"] == "fedavg" else f" {c['algorithm']}")
                ),
            )
    return marks


def _private(study: Study) -> list[Cell]:
    return [cell for cell in study["cells"] if cell["epsilon"] is not None]


def _private_algorithms(study: Study) -> list[Mark]:
    base, others = least_epsilon([c for c in _private(study) if c["partition"] == SKEWED])
    if base is None or not others:
        return []
    return _marks([base, *others], lambda c: c["algorithm"])


def _poisons(study: Study) -> list[Mark]:
    kinds = dict.fromkeys(c["poison"] for c in study["cells"] if c["poison"])
    poisoned = {c["algorithm"] for c in study["cells"] if c["poison"]}
    return [
        mark
        for kind in (None, *kinds)
        for mark in _marks(
            [c for c in find(study, partition=SKEWED, poison=kind) if c["algorithm"] in poisoned],
            lambda c: f"{c['algorithm']}, {c['poison'] or 'no poison'}",
        )
    ] if kinds else []  # fmt: skip


def _gains(study: Study) -> list[Mark]:
    return _of_hospitals(
        study, lambda of: [b - a for a, b in zip(of["alone"], of["federated"], strict=True)]
    )


def _contributions(study: Study) -> list[Mark]:
    return _of_hospitals(study, lambda of: of["contribution"])


def _of_hospitals(study: Study, values: Callable[[Any], list[float]]) -> list[Mark]:
    return [
        Mark(model_title(name), found, f"{model_title(name)}: {100 * found['value']:+.1f}", name)
        for name, of in [*study["by_hospital"].items()][:20]
        if (found := over_seeds(values(of)))
    ]


_CHARTS: tuple[tuple[str, tuple[str, ...], Callable[[Study], list[Mark]], str], ...] = (
    ("Accuracy against bytes", ("algorithms", "bytes", "formats"), _by_bytes, AUC),
    ("How patients are dealt", ("splits",), _splits, AUC),
    ("What privacy costs", ("privacy",), _epsilons, AUC),
    ("Which bears the noise", ("private algorithms",), _private_algorithms, AUC),
    ("One hospital poisoned, label-skew", ("poison",), _poisons, AUC),
    ("What joining gives", ("gains",), _gains, "Points of accuracy at its own mix"),
    ("What each contributes", ("contribution",), _contributions, "Shapley value, points of AUC"),
)

"""The closing lines of a run, in the terminal: the table, and what it bears out."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from fedmed.evaluation.metrics import METRICS, MetricName
from fedmed.report.claims import summary
from fedmed.report.highlights import (
    displayed_formats,
    displayed_models,
    note,
    one_class_words,
    spread,
)
from fedmed.report.phrases import number_of_rounds, trains_networks, unfinished
from fedmed.report.schema import PROTOCOLS, Report

COLUMNS: tuple[MetricName, ...] = ("accuracy", "precision", "recall", "f1")
TOLD = (
    "poison",
    "collapse",
    "joining",
    "ranking",
    "gap",
    "framing",
    "optimum",
    "personal",
    "privacy",
    "attack",
)
WIDTHS = {name: max(len(METRICS[name].title) + 1, 6) for name in COLUMNS}


def table(report: Report) -> str:
    """Return plain text of at most 80 columns: scores in %, bytes, and what they bear out."""
    protocols = report["protocols"]
    header = "".join(f"{METRICS[name].title:>{width}}" for name, width in WIDTHS.items())
    sizes = [f"{name} (n = {protocols[name]['n']})".center(len(header)) for name in PROTOCOLS]
    lines = [f"{'%':<13}{'  '.join(sizes)}".rstrip(), f"{'model':<13}{header}  {header}"]
    models = protocols["test"]["models"]
    for model in displayed_models(models):
        rows = [_row(protocols[name]["models"][model]) for name in PROTOCOLS]
        lines.append(f"{model:<13}{'  '.join(rows)}")
    if left_out := note(models):
        rows = [_row(spread(protocols[name]["models"], COLUMNS)) for name in PROTOCOLS]
        lines += [f"{'median of all':<13}{'  '.join(rows)}", *textwrap.wrap(left_out, 80)]
    if trains_networks(report):
        lines += textwrap.wrap(
            "A hospital's network is the one it has without the others, trained as long.", 80
        )
    lines += textwrap.wrap(one_class_words(report["partition"]), 80)
    return "\n".join([*lines, "", *_bytes(report), "", *_told(report)])


def _bytes(report: Report) -> list[str]:
    communication = report["communication"]
    lines = [f"{'bytes up + down':<30}{'per update':>14}{'per round':>16}{'per run':>18}"]
    for name, sent in displayed_formats(report).items():
        title = sent["title"] + (" *" if name == communication["sent"] else "")
        lines.append(
            f"{title:<30}{sent['update_bytes']:>14,}{sent['round_bytes']:>16,}"
            f"{sent['run_bytes']:>18,}"
        )
    for told in unfinished(report):
        lines += textwrap.wrap(told, 80)
    lines.append(
        f"* sent in this run: {communication['hospitals']} hospitals, "
        f"{number_of_rounds(communication['rounds'])}"
    )
    return lines


def _told(report: Report) -> list[str]:
    """The claims that the table above does not show at a glance."""
    said = [claim.text for claim in summary(report) if claim.kind in TOLD]
    return [
        line for text in said for line in textwrap.wrap(f"- {text}", 80, subsequent_indent="  ")
    ]


def _row(scores: Mapping[str, Any]) -> str:
    return "".join(f"{100 * scores[name]['value']:>{width}.1f}" for name, width in WIDTHS.items())

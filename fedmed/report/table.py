"""The closing table of a run, in the terminal."""

from __future__ import annotations

import textwrap

from fedmed.report.closing_words import joining_words, shifted_words
from fedmed.report.document import Fields
from fedmed.report.highlights import note, one_class_words, shown, spread
from fedmed.report.schema import PROTOCOLS, SHIFTED


def table(report: Fields) -> str:
    """Return the closing table as plain text, at most 80 columns: scores in %, then bytes."""
    protocols = report["protocols"]
    titles = {
        "accuracy": " accuracy",
        "precision": " precision",
        "recall": " recall",
        "f1": "    F1",
    }
    header = "".join(titles.values())
    sizes = [f"{name} (n = {protocols[name]['n']})".center(len(header)) for name in PROTOCOLS]
    lines = [f"{'%':<13}{'  '.join(sizes)}".rstrip(), f"{'model':<13}{header}  {header}"]
    models = protocols["test"]["models"]
    for model in shown(models):
        rows = [_row(protocols[name]["models"][model], titles) for name in PROTOCOLS]
        lines.append(f"{model:<13}{'  '.join(rows)}")
    if words := note(models):
        rows = [_row(spread(protocols[name]["models"], titles), titles) for name in PROTOCOLS]
        lines += [f"{'median of all':<13}{'  '.join(rows)}", *textwrap.wrap(words, 80)]
    lines += textwrap.wrap(one_class_words(report["partition"]), 80)
    lines += ["", *textwrap.wrap(joining_words(report), 80)]
    if SHIFTED in protocols:
        lines += textwrap.wrap(shifted_words(protocols[SHIFTED]), 80)
    communication = report["communication"]
    lines += ["", f"{'bytes up + down':<30}{'per update':>14}{'per round':>16}{'per run':>18}"]
    for name, sent in communication["formats"].items():
        title = sent["title"] + (" *" if name == communication["sent"] else "")
        amounts = [sent[f"{unit}_bytes"] for unit in ("update", "round", "run")]
        lines.append("{:<30}{:>14,}{:>16,}{:>18,}".format(title, *amounts))
    lines.append(
        f"* sent in this run: {communication['hospitals']} hospitals, "
        f"{communication['rounds']} rounds"
    )
    return "\n".join(lines)


def _row(metrics: Fields, titles: dict[str, str]) -> str:
    return "".join(
        f"{100 * metrics[key]['value']:>{len(title)}.1f}" for key, title in titles.items()
    )

"""A study as one table, and what it bears out: the model card's section."""

from __future__ import annotations

from collections.abc import Iterator

from fedmed.report.card_tables import table
from fedmed.report.schema import Report
from fedmed.report.studies import told
from fedmed.report.study_numbers import scored, split_of
from fedmed.report.study_schema import Study, readable

COLUMNS = ["algorithm", "split", "format", "epsilon", "poison", "AUC", "AUC, shifted",
           "balanced accuracy, shifted", "bytes a run", "failed"]  # fmt: skip
_SHOWN = ("auc", "shifted_auc", "shifted_balanced_accuracy")


def rows(study: Study) -> Iterator[list[str]]:
    """Yield every cell as a line: what it was, its scores in percent over the seeds, bytes."""
    for cell in study["cells"]:
        found = [scored(cell, name) for name in _SHOWN]
        yield [
            cell["algorithm"],
            split_of(cell),
            cell["format"].upper(),
            "" if cell["epsilon"] is None else f"{cell['epsilon']:g}",
            cell["poison"] or "",
            *(
                ""
                if i is None
                else f"{100 * i['value']:.1f} ± {100 * (i['high'] - i['value']):.1f}"
                for i in found
            ),
            f"{cell['bytes']:,}" if "bytes" in cell else "",
            f"{cell['failed']['runs']:,}" if "failed" in cell else "",
        ]


def study_section(report: Report) -> str:
    """Return the card's section; empty where a run made no study."""
    study = readable(report.get("study"))
    if not study:
        return ""
    said = "\n".join(f"- {text}" for text in told(study))
    return (
        "## The study\n\n"
        f"{study['hospitals']:,} hospitals, {study['rounds']:,} rounds of "
        f"{study['local_epochs']:,} epochs at most, {len(study['seeds']):,} seeds; {study['n']:,} "
        f"validation X-rays. {study['method'][:1].upper() + study['method'][1:]}.\n\n{said}\n\n"
        "Sentences compare by AUC on shifted validation. Below in percent, mean over the seeds and "
        "half its 95 % interval.\n\n" + table(COLUMNS, [*rows(study)])
    )

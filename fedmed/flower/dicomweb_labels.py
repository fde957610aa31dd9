"""Which X-rays a hospital takes from its DICOMweb service, and what they show: a CSV of its own.

No DICOM attribute says NORMAL or PNEUMONIA, so labels come from the hospital's records: columns by
name in any order and case, `SOP Instance UID` (an image) or `Accession Number` (an exam, of which
the frontal X-rays are taken), `label`, and optionally `split` and `patient`, as in any table
(docs/own-data.md).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from fedmed.data.classes import ClassNames
from fedmed.data.table import Table, read_table
from fedmed.data.trouble import by_kind
from fedmed.errors import UserError
from fedmed.flower.dicomweb import UID
from fedmed.task import CLASSES

IMAGE, EXAM = "sopinstanceuid", "accessionnumber"
CARRIED = ("label", "split", "patient")
# An accession number is SH (PS3.5): 16 characters; * and ? would stand for any others.
NUMBER = re.compile(r"[^\\*?\x00-\x1f\x7f]{1,16}")


@dataclass(frozen=True)
class Wanted:
    """One row: an image or an exam, and what the table says of it."""

    key: str
    is_exam: bool
    told: tuple[tuple[str, str], ...]  # column and value, of CARRIED


def read_wanted(path: Path) -> list[Wanted]:
    """Read a table whole, before anything is asked for.

    Raises:
        UserError: it cannot be read, lacks a column, or some rows cannot be used.
    """
    try:
        table = read_table(path)
    except OSError as error:
        raise UserError(f"--labels {path} cannot be read: {error.strerror}.") from error
    columns = {re.sub(r"[\s_-]", "", name): name for name in table.columns}
    key = next((columns[name] for name in (IMAGE, EXAM) if name in columns), None)
    if key is None or "label" not in columns:
        raise UserError(
            f"--labels {path} needs the columns label and SOP Instance UID or Accession Number, "
            f"found {', '.join(table.columns) or 'none'}."
        )
    return _rows(path, table, key, is_exam=IMAGE not in columns)


def _rows(path: Path, table: Table, key: str, *, is_exam: bool) -> list[Wanted]:
    classes, form = ClassNames(), NUMBER if is_exam else UID
    found: dict[str, Wanted] = {}
    wrong: list[tuple[str, str]] = []
    for row in table.rows:
        name = row.get(key, "")
        told = tuple((column, row.get(column, "")) for column in CARRIED if table.has(column))
        wanted = Wanted(name, is_exam, told)
        if not form.fullmatch(name):
            wrong.append((name or "an empty one", f"no {'accession number' if is_exam else 'UID'}"))
        elif classes.label(row.get("label", "")) is None:
            wrong.append((name, f"its label is none of {', '.join(CLASSES)}"))
        elif found.setdefault(name, wanted) != wanted:
            wrong.append((name, "two rows say different things of it"))
    if wrong:
        raise UserError(f"--labels {path}:\n  " + "\n  ".join(by_kind(wrong)))
    if not found:
        raise UserError(f"--labels {path} names no X-ray.")
    return [found[name] for name in sorted(found)]

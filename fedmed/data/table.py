"""A CSV beside the images that says of each its class and, where known, patient and split.

Columns by name in any order and case: `image`, `label`, and optionally `patient` and `split`;
separated by commas, semicolons or tabs; UTF-8. `image` is a path below the CSV's folder, or a
file's name, with its suffix or without, where only one file is called so.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fedmed.data.layout import tables
from fedmed.errors import UserError

COLUMNS = ("image", "label", "patient", "split")


@dataclass(frozen=True)
class Table:
    """The rows of a CSV, by lower-case column names."""

    path: Path
    columns: Sequence[str]
    rows: list[dict[str, str]]

    def has(self, *columns: str) -> bool:
        return all(column in self.columns for column in columns)


def read_table(path: Path) -> Table:
    """Read a CSV whole.

    Raises:
        UserError: it is no UTF-8 text or no table, or holds more than a CSV may.
        OSError: it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        header = text.partition("\n")[0]
        separator = max(",;\t", key=header.count)
        lines = csv.reader(text.splitlines(), delimiter=separator, strict=True)
        columns = [name.strip().casefold() for name in next(lines, [])]
        rows = [
            {name: cell.strip() for name, cell in zip(columns, line, strict=False)}
            for line in lines
            if any(cell.strip() for cell in line)
        ]
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text; save it as CSV in UTF-8.") from error
    except csv.Error as error:
        raise UserError(f"{path} is no table: {error}.") from error
    return Table(path, columns, rows)


class Files:
    """Finds files by what a table calls them."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names: dict[str, list[str]] = {}
        for name in names:
            path = PurePosixPath(name)
            for called in dict.fromkeys((name, path.name, path.stem)):
                self._names.setdefault(called, []).append(name)

    def find(self, called: str) -> list[str]:
        """The files meant: none, one, or several where the name is not enough."""
        path = called.replace("\\", "/").removeprefix("./")
        found = self._names.get(path, [])
        return [path] if path in found else found


def patients_of(table: Table, files: Files) -> Mapping[str, str]:
    """The patient of each file that a table with `image` and `patient` names.

    Raises:
        UserError: other columns; a name that several files bear; two patients of one file.
    """
    if not table.has("image", "patient"):
        raise UserError(
            f"--patients {table.path}: a CSV with the columns image and patient is needed, "
            f"found {', '.join(table.columns) or 'none'}."
        )
    patients: dict[str, str] = {}
    for row in table.rows:
        called, patient = row.get("image", ""), row.get("patient", "")
        found = files.find(called)
        if len(found) > 1:
            raise UserError(
                f"--patients {table.path}: {called!r} is the name of {len(found)} files; give "
                "paths."
            )
        for name in found if patient else []:
            if patients.setdefault(name, patient) != patient:
                raise UserError(f"--patients {table.path}: {called!r} has two patients.")
    if not patients:
        raise UserError(f"--patients {table.path} names none of the images.")
    return patients


def label_tables(folder: Path) -> list[Table]:
    """The CSV files of a folder that have the columns `image` and `label`.

    Raises:
        UserError: one is no table.
    """
    return [table for path in tables(folder) if (table := read_table(path)).has("image", "label")]

"""Images whose classes a table gives, in place of folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fedmed.data.classes import LEFT_OUT, ClassNames, unknown
from fedmed.data.layout import files_below, split_of
from fedmed.data.table import Files, Table
from fedmed.data.trouble import by_kind, named
from fedmed.task import CLASSES


@dataclass(frozen=True)
class Row:
    """What a table says of one file."""

    label: int
    split: str | None
    patient: str | None


@dataclass
class Labelled:
    """The files that tables name, what is wrong, and what a person should be told."""

    files: Mapping[str, Path]
    rows: dict[str, Row] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_labelled(base: Path, tables: Sequence[Table], classes: ClassNames) -> Labelled:
    """Find the files below `base` that the tables name, and what these say of them."""
    files = {
        path.relative_to(base).as_posix(): path
        for path in files_below(base)
        if path.suffix.lower() != ".csv"
    }
    result = Labelled(files)
    finder = Files(files)
    wrong: list[tuple[str, str]] = []
    absent: list[str] = []
    left_out = 0
    for table in tables:
        for row in table.rows:
            called, name = row.get("image", ""), row.get("label", "")
            found = finder.find(called)
            label = classes.label(name)
            word = row.get("split") or (split_of(table.path.stem) or "")
            split = split_of(word) if word else None
            if label is None:
                wrong.append((called, f"label '{name}' {unknown(name)}"))
            elif word and split is None:
                wrong.append((called, f"split '{word}' is not train, test or val"))
            elif len(found) > 1:
                wrong.append((called, "several files are called so; give paths"))
            elif label == LEFT_OUT:
                left_out += 1
            elif not found:
                absent.append(called)
            else:
                new = Row(label, split, row.get("patient") or None)
                if result.rows.setdefault(found[0], new) != new:
                    wrong.append((called, "two rows say different things of it"))
    names = named([table.path.name for table in tables])
    result.problems += [f"{names}: {line}" for line in by_kind(wrong)]
    _settle_splits(result, names)
    if not result.problems:
        result.problems += [
            f"{names} names no image of {title} that is here"
            for label, title in enumerate(CLASSES)
            if label not in {row.label for row in result.rows.values()}
        ]
    result.notes.insert(0, f"{names} gives the class of {len(result.rows):,} images.")
    if absent:
        result.notes.append(f"{len(absent):,} images of {names} are not here: {named(absent)}.")
    if left_out:
        result.notes.append(f"{left_out:,} images are left out, as --classes says.")
    spare = len(files) - len(result.rows) - left_out
    if spare > 0:
        result.notes.append(f"{spare:,} files that {names} does not name are left out.")
    return result


def _settle_splits(result: Labelled, names: str) -> None:
    """`val` is the test split where there is none, else nobody's; all rows have a split or none."""
    splits = Counter(row.split for row in result.rows.values())
    if splits["val"] and splits["test"]:
        result.rows = {name: row for name, row in result.rows.items() if row.split != "val"}
        result.notes.append(
            f"{splits['val']:,} images of the split val are left out: validation patients are held "
            "out of train."
        )
    elif splits["val"]:
        result.rows = {
            name: Row(row.label, "test" if row.split == "val" else row.split, row.patient)
            for name, row in result.rows.items()
        }
        result.notes.append("There is no test split: val is used as the test split.")
    if splits[None] and splits[None] < splits.total():
        result.problems.append(
            f"{names}: {splits[None]:,} of {splits.total():,} images have no split; give each one, "
            "or none"
        )
    elif splits.total() and not splits[None] and not splits["train"]:
        result.problems.append(f"{names}: no image is in the split train")

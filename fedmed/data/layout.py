"""Where the images of a folder lie: below which split, which class, which patient.

What is looked for: `train/` and `test/`, each with a folder for each class; or the class folders
alone. Names in any case; the whole may lie one or more folders down, as archives unzip; below a
class, a folder is a patient's. Nothing is read but names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fedmed.data.classes import LEFT_OUT, ClassNames, unknown
from fedmed.data.trouble import named
from fedmed.errors import UserError
from fedmed.task import CLASSES

_SPLITS = {
    "train": ("train", "training"),
    "test": ("test", "testing"),
    "val": ("val", "valid", "validation"),
}
_CLUTTER = ("thumbs.db", "desktop.ini", "dicomdir", "__macosx")
DEEPEST = 4  # folders down that the data are looked for


@dataclass(frozen=True)
class Place:
    """Where a file lies and what that says of it."""

    path: Path
    label: int
    split: str | None
    folder: str | None  # between the class's and the file


@dataclass
class Layout:
    """All files found, what is wrong, and what a person should be told."""

    base: Path
    files: list[Place] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def entries(folder: Path) -> list[Path]:
    """What a folder holds, by name, without what operating systems and viewers put there."""
    paths = [p for p in folder.iterdir() if p.name[0] != "." and p.name.lower() not in _CLUTTER]
    return sorted(paths, key=lambda path: path.name)  # paths themselves compare slowly


def files_below(folder: Path, deepest: int = 8) -> Iterator[Path]:
    """Every file below a folder, by name."""
    for entry in entries(folder):
        if not entry.is_dir():
            yield entry
        elif deepest:
            yield from files_below(entry, deepest - 1)


def split_of(name: str) -> str | None:
    """The split that a folder's or file's name, or a word in a table, stands for."""
    word = name.strip().casefold()
    return next((split for split, words in _SPLITS.items() if word in words), None)


def tables(folder: Path) -> list[Path]:
    """The CSV files that lie in a folder."""
    return [entry for entry in entries(folder) if _is_table(entry)]


def _is_table(path: Path) -> bool:
    return path.suffix.lower() == ".csv" and path.is_file()  # a pipe would be waited for


def find_base(root: Path, classes: ClassNames) -> Path:
    """The folder that holds the splits or classes: `root`, or the only such one below it.

    Raises:
        UserError: there are several.
    """
    level = [root]
    for _ in range(DEEPEST):
        holding = [folder for folder in level if _holds(folder, classes)]
        if len(holding) > 1:
            several = named([f"{folder.relative_to(root).as_posix()}/" for folder in holding])
            raise UserError(f"--data {root} holds several data sets: {several}; name one of them.")
        if holding:
            return holding[0]
        level = [entry for folder in level for entry in entries(folder) if entry.is_dir()][:100]
    return root


def read_layout(root: Path, base: Path, classes: ClassNames) -> Layout:
    """List the images of `base`, which lies in `root`."""
    layout = Layout(base)
    if base != root:
        layout.notes.append(f"The images are read from {base.relative_to(root).as_posix()}/.")
    folders = [entry for entry in entries(base) if entry.is_dir()]
    splits: dict[str, list[Path]] = {}
    for folder in folders:
        if split := split_of(folder.name):
            splits.setdefault(split, []).append(folder)
    if "train" in splits:
        passed = [f"{f.name}/" for f in folders if split_of(f.name) is None]
        if passed:
            layout.notes.append(f"Beside train/ these are left out: {named(passed)}.")
        _note_validation(layout, splits)
        for split, those in splits.items():
            _read_classes(layout, those, split, classes)
    elif splits:
        layout.problems.append("train/ is missing")
    else:
        _read_classes(layout, [base], None, classes)
    return layout


def _holds(folder: Path, classes: ClassNames) -> bool:
    names = [entry.name for entry in entries(folder) if entry.is_dir()]
    return any(split_of(name) or classes.label(name) is not None for name in names)


def _note_validation(layout: Layout, splits: dict[str, list[Path]]) -> None:
    """A validation split is the test split where there is none, else nobody's."""
    if "val" not in splits:
        return
    those = splits.pop("val")
    name = f"{those[0].name}/"
    if "test" in splits:
        count = sum(1 for folder in those for _ in files_below(folder))
        layout.notes.append(
            f"{name} ({count:,} files) is left out: validation patients are held out of train/."
        )
    else:
        splits["test"] = those
        layout.notes.append(f"There is no test/: {name} is used as the test split.")


def _read_classes(
    layout: Layout, folders: list[Path], split: str | None, classes: ClassNames
) -> None:
    found: dict[int, list[Path]] = {}
    for folder in folders:
        for entry in entries(folder):
            where = entry.relative_to(layout.base).as_posix()
            if not entry.is_dir():
                continue
            label = classes.label(entry.name)
            if label is None:
                layout.problems.append(f"{where}/ {unknown(entry.name)}")
            elif label == LEFT_OUT:
                layout.notes.append(f"{where}/ is left out, as --classes says.")
            else:
                found.setdefault(label, []).append(entry)
    top = "" if split is None else f"{folders[0].name}/"
    for label, title in enumerate(CLASSES):
        if label not in found:
            layout.problems.append(f"{top}{title}/ is missing")
            continue
        before = len(layout.files)
        for folder in found[label]:
            for path in files_below(folder):
                inner = path.relative_to(folder).parts[:-1]
                layout.files.append(Place(path, label, split, inner[0] if inner else None))
        if len(layout.files) == before:
            layout.problems.append(f"{top}{found[label][0].name}/ holds no image")

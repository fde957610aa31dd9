"""X-rays from a folder: classes by folders or by a table, splits and patients where they are told.

docs/own-data.md tells users how to lay out their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from fedmed.data.assemble import assemble
from fedmed.data.classes import ClassNames
from fedmed.data.cohort import Cohort
from fedmed.data.dicom_patient import pseudonyms
from fedmed.data.labelled import read_labelled
from fedmed.data.layout import Layout, entries, find_base, read_layout, tables
from fedmed.data.listed import Listed
from fedmed.data.patient_option import PatientOption
from fedmed.data.table import Table, label_tables, read_table
from fedmed.data.trouble import by_kind
from fedmed.errors import UserError
from fedmed.files import is_text, sha256_of

_LAYOUT = (
    "train/ and test/, each with NORMAL/ and PNEUMONIA/ holding JPEG, PNG or DICOM files; or "
    "these two alone; or a CSV with the columns image and label beside the files"
)


def read_folder(root: Path, *, patients: str | None = None, classes: str | None = None) -> Cohort:
    """List and hash every image; nothing is decoded yet.

    `root` is a folder, or a CSV beside the images. `patients` and `classes` are what the options
    of these names were given.

    Raises:
        UserError: the layout is not the expected one; the message lists all that is wrong.
    """
    try:
        return _read(root, PatientOption(patients), ClassNames(classes))
    except OSError as error:
        place = error.filename or root
        raise UserError(f"--data {root}: {place} cannot be read: {error.strerror}.") from error


def _read(root: Path, patients: PatientOption, classes: ClassNames) -> Cohort:
    top = root
    given: list[Table] = []
    if root.suffix.lower() == ".csv" and root.is_file():
        top, given = root.parent, [read_table(root)]
        if not given[0].has("image", "label"):
            found = ", ".join(given[0].columns) or "none"
            raise UserError(f"--data {root}: it needs the columns image and label, found {found}.")
    if not top.is_dir():
        what = "is a file" if top.exists() else "no such folder"
        raise UserError(
            f"--data {root}: {what}. Give a folder with {_LAYOUT}; a data set id on the "
            "Hub (OWNER/NAME); or 'simulated'."
        )
    if not is_text(top.resolve().name):
        raise UserError(f"--data {str(root)!a}: the folder's name is not UTF-8; rename it.")
    base = find_base(top, classes)
    for folder in dict.fromkeys((top, base, _innermost(top))):
        if given := given or label_tables(folder):
            base = folder
            break
    listed, notes, problems = (
        _by_table(base, given, classes) if given else _by_folders(top, base, classes)
    )
    _refuse(root, problems)
    return assemble(
        "folder", top.resolve().name, patients.applied(listed), where=f"--data {root}", notes=notes
    )


def _refuse(root: Path, problems: list[str]) -> None:
    if problems:
        raise UserError(f"--data {root} must hold {_LAYOUT}:\n  " + "\n  ".join(problems))


def _innermost(folder: Path) -> Path:
    """Down to where a folder holds more than one folder and nothing else."""
    while len(inside := entries(folder)) == 1 and inside[0].is_dir():
        folder = inside[0]
    return folder


def _by_folders(
    top: Path, base: Path, classes: ClassNames
) -> tuple[list[Listed], list[str], list[str]]:
    layout: Layout = read_layout(top, base, classes)
    if layout.problems:
        for path in tables(base):
            found = ", ".join(read_table(path).columns) or "none"
            layout.problems.append(f"{path.name} has no columns image and label, but {found}")
        return [], layout.notes, layout.problems
    reader = _Reader()
    listed = [
        image
        for place in layout.files
        if (
            image := reader.image(
                place.path.relative_to(base).as_posix(),
                place.path,
                label=place.label,
                split=place.split,
                folder=place.folder,
            )
        )
    ]
    return listed, layout.notes, reader.problems()


def _by_table(
    base: Path, given: list[Table], classes: ClassNames
) -> tuple[list[Listed], list[str], list[str]]:
    labelled = read_labelled(base, given, classes)
    if labelled.problems:
        return [], labelled.notes, labelled.problems
    reader = _Reader()
    order = sorted(labelled.rows, key=lambda name: (labelled.rows[name].label, name))
    listed = [
        image
        for name in order
        if (
            image := reader.image(
                name,
                labelled.files[name],
                label=labelled.rows[name].label,
                split=labelled.rows[name].split,
                told=labelled.rows[name].patient,
            )
        )
    ]
    return listed, labelled.notes, reader.problems()


class _Reader:
    """Hashes files, and keeps what is wrong with those that cannot be read."""

    def __init__(self) -> None:
        self._wrong: list[tuple[str, str]] = []
        self._pseudonym = pseudonyms()

    def image(
        self,
        name: str,
        path: Path,
        *,
        label: int,
        split: str | None,
        told: str | None = None,
        folder: str | None = None,
    ) -> Listed | None:
        """The image in a file; None where it cannot be read, which `problems` tells."""
        if not is_text(name):
            self._wrong.append((f"{name!a}", "not named in UTF-8; rename it"))
            return None
        try:
            digest = sha256_of(path)
            pseudonym = self._pseudonym(path)
        except OSError as error:
            self._wrong.append((name, f"cannot be read: {error.strerror}"))
            return None
        return Listed(name, label, digest, _loader(path, digest), split, told, pseudonym, folder)

    def problems(self) -> list[str]:
        return by_kind(self._wrong)


def _loader(path: Path, digest: str) -> Callable[[], Image.Image]:
    def load() -> Image.Image:
        from fedmed.uploads import sandbox

        try:
            data = path.read_bytes()
        except OSError as error:
            raise UserError(f"The file cannot be read any more: {error.strerror}.") from error
        # Or another picture's features would be kept under this one's digest.
        if hashlib.sha256(data).hexdigest() != digest:
            raise UserError("The file was changed since this run listed it.")
        return sandbox.read(data).image

    return load

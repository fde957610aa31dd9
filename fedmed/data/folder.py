"""X-rays from a folder: `train/` and `test/`, each with `NORMAL/` and `PNEUMONIA/`."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from fedmed.data.cohort import Cohort, Xray
from fedmed.data.patients import key_patients, patient_of
from fedmed.errors import UserError
from fedmed.files import is_text, sha256_of
from fedmed.task import CLASSES, DATASET, SIMULATED

SPLITS = ("train", "test")
_LAYOUT = (
    "train/ and test/, each with NORMAL/ and PNEUMONIA/ holding images (JPEG, PNG, DICOM, TIFF ...)"
)


def read_folder(root: Path) -> Cohort:
    """List and hash every image; nothing is decoded yet.

    Raises:
        UserError: the layout is not the expected one; the message lists all that is wrong.
    """
    try:
        return _read(root)
    except OSError as error:
        place = error.filename or root
        raise UserError(f"--data {root}: {place} cannot be read: {error.strerror}.") from error


def _read(root: Path) -> Cohort:
    if not root.is_dir():
        what = "is a file" if root.exists() else "no such folder"
        raise UserError(
            f"--data {root}: {what}. Give a folder with {_LAYOUT}; a data set id on the "
            "Hub (OWNER/NAME); or 'simulated'."
        )
    if not is_text(root.resolve().name):
        raise UserError(f"--data {str(root)!a}: the folder's name is not UTF-8; rename it.")
    problems = [problem for split in SPLITS for problem in _layout_problems(root, split)]
    _refuse(root, problems)
    splits = {split: _read_split(root, split, problems) for split in SPLITS}
    _refuse(root, problems)
    names = [xray.name for xrays in splits.values() for xray in xrays]
    about = _about(root, names)
    return Cohort(
        "folder",
        about,
        splits["train"],
        splits["test"],
        patients_known=all(patient_of(name) for name in names),
        simulated=about is SIMULATED,
    )


def _refuse(root: Path, problems: list[str]) -> None:
    if problems:
        raise UserError(f"--data {root} must hold {_LAYOUT}:\n  " + "\n  ".join(problems))


def _layout_problems(root: Path, split: str) -> list[str]:
    if not (root / split).is_dir():
        return [f"{split}/ is missing"]
    found = {entry.name for entry in _entries(root / split) if entry.is_dir()}
    problems = [f"{split}/{name}/ is missing" for name in CLASSES if name not in found]
    problems += [
        f"{split}/{name}/ is no class known here ({', '.join(CLASSES)})"
        for name in sorted(found - set(CLASSES))
    ]
    for name in CLASSES:
        if name not in found:
            continue
        entries = _entries(root / split / name)
        if not entries:
            problems.append(f"{split}/{name}/ holds no image")
        problems += [
            f"{split}/{name}/{entry.name}/ is a folder; images must lie directly in {name}/"
            for entry in entries
            if entry.is_dir()
        ]
    return problems


def _read_split(root: Path, split: str, problems: list[str]) -> list[Xray]:
    """The X-rays of a split; what cannot be read at all is added to `problems`."""
    found: list[tuple[str, int, str, Path]] = []
    for label, title in enumerate(CLASSES):
        for path in _entries(root / split / title):
            name = f"{split}/{title}/{path.name}"
            if not is_text(name):
                problems.append(f"{name!a} is not named in UTF-8; rename it")
                continue
            try:
                found.append((name, label, sha256_of(path), path))
            except OSError as error:
                problems.append(f"{name} cannot be read: {error.strerror}")
    patients = key_patients([name for name, *_ in found], [digest for *_, digest, _ in found])
    return [
        Xray(name, label, patient, digest, _loader(path, digest))
        for (name, label, digest, path), patient in zip(found, patients, strict=True)
    ]


def _loader(path: Path, digest: str) -> Callable[[], Image.Image]:
    def load() -> Image.Image:
        from fedmed.imaging.decode import decode

        try:
            data = path.read_bytes()
        except OSError as error:
            raise UserError(f"The file cannot be read any more: {error.strerror}.") from error
        # Or another picture's features would be kept under this one's digest.
        if hashlib.sha256(data).hexdigest() != digest:
            raise UserError("The file was changed since this run listed it.")
        return decode(data)

    return load


def _about(root: Path, names: list[str]) -> dict[str, str]:
    """What data set this is, judged by its file names."""
    keys = [patient_of(name) for name in names]
    kinds = Counter("sim" if key.startswith("sim-") else "real" for key in keys if key)
    if kinds["sim"] > len(names) / 2:
        return SIMULATED
    if kinds["real"] > len(names) / 2:
        return DATASET
    return {"title": root.resolve().name, "licence": "unknown", "citation": ""}


def _entries(folder: Path) -> list[Path]:
    """What a folder holds, by name, without what operating systems put there."""
    clutter = ("Thumbs.db", "desktop.ini")
    paths = [path for path in folder.iterdir() if path.name[0] != "." and path.name not in clutter]
    return sorted(paths, key=lambda path: path.name)  # paths themselves compare slowly

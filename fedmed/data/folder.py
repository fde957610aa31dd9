"""X-rays from a folder: `train/` and `test/`, each with `NORMAL/` and `PNEUMONIA/`."""

from __future__ import annotations

import hashlib
from pathlib import Path

from PIL import Image

from fedmed.data.cohort import Cohort, Xray
from fedmed.data.patients import patient_of
from fedmed.errors import UserError
from fedmed.facts import CLASSES, DATASET

_LAYOUT = "train/ and test/, each with NORMAL/ and PNEUMONIA/ holding JPEG, PNG or DICOM files"


def read_folder(root: Path) -> Cohort:
    """List and hash every image; nothing is decoded yet.

    Raises:
        UserError: the layout is not the expected one; the message lists all that is wrong.
    """
    if not root.is_dir():
        raise UserError(
            f"--data {root}: no such folder. Give a folder with {_LAYOUT}; a data set id on the "
            "Hub (OWNER/NAME); or 'simulated'."
        )
    splits = {split: _read_split(root, split) for split in _existing_splits(root)}
    names = [xray.name for xrays in splits.values() for xray in xrays]
    known = any(patient_of(name) for name in names)
    kermany = sum(patient_of(name) is not None for name in names) > len(names) / 2
    about = DATASET if kermany else {"title": root.name, "licence": "unknown", "citation": ""}
    return Cohort(str(root), about, splits["train"], splits["test"], patients_known=known)


def _existing_splits(root: Path) -> tuple[str, str]:
    problems = []
    for split in ("train", "test"):
        folder = root / split
        if not folder.is_dir():
            problems.append(f"{split}/ is missing")
            continue
        found = {entry.name for entry in folder.iterdir() if _visible(entry) and entry.is_dir()}
        problems += [f"{split}/{name}/ is missing" for name in CLASSES if name not in found]
        problems += [
            f"{split}/{name}/ is no class known here ({', '.join(CLASSES)})"
            for name in sorted(found - set(CLASSES))
        ]
        problems += [
            f"{split}/{name}/ holds no image"
            for name in CLASSES
            if name in found and not _files(folder / name)
        ]
    if problems:
        raise UserError(f"--data {root} must hold {_LAYOUT}:\n  " + "\n  ".join(problems))
    return ("train", "test")


def _read_split(root: Path, split: str) -> list[Xray]:
    return [
        _xray(path, f"{split}/{name}/{path.name}", label)
        for label, name in enumerate(CLASSES)
        for path in _files(root / split / name)
    ]


def _xray(path: Path, name: str, label: int) -> Xray:
    def load() -> Image.Image:
        from fedmed.imaging import decode

        return decode(path.read_bytes())

    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Xray(name, label, patient_of(name) or name, digest, load)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and _visible(path))


def _visible(path: Path) -> bool:
    return not path.name.startswith(".") and path.name not in ("Thumbs.db", "desktop.ini")

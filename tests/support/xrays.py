"""X-rays that are never decoded, and folders of them, for the tests of the data modules."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from fedmed.data.cohort import Cohort, Xray
from fedmed.data.patients import key_patients


def xrays(names: Iterable[str], label: int, split: str = "train") -> list[Xray]:
    """X-rays with these file names, each of other bytes."""
    folder = f"{split}/{('NORMAL', 'PNEUMONIA')[label]}"
    full = [f"{folder}/{name}" for name in names]
    digests = [hashlib.sha256(name.encode()).hexdigest() for name in full]
    patients = key_patients(full, digests)
    rows = zip(full, patients, digests, strict=True)
    return [Xray(name, label, patient, digest, _unread) for name, patient, digest in rows]


def cohort(train: list[Xray], test: list[Xray], **more: bool) -> Cohort:
    about = {"title": "made up", "licence": "none", "citation": ""}
    return Cohort("folder", about, train, test, **{"patients_known": True, **more})


def write_folder(root: Path, names: Iterable[str]) -> Path:
    """Write one small PNG for each path such as `train/NORMAL/a.png`, each of another grey."""
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (40, 40), number % 256).save(path, "PNG")
    return root


def _unread() -> Image.Image:
    raise AssertionError("no test here decodes")

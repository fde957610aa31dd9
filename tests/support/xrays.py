"""X-rays that are never decoded, and folders of them, for the tests of the data modules."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from fedmed.data.cohort import Cohort, Xray
from fedmed.data.listed import Listed
from fedmed.data.patients import key_patients


def listed(name: str, label: int = 0, split: str | None = "train", **more: Any) -> Listed:
    """An image as a source lists it, of bytes of its own unless `digest` is given."""
    digest = hashlib.sha256(f"{split} {label} {name}".encode()).hexdigest()
    return Listed(name, label, load=_unread, split=split, **{"digest": digest, **more})


def xrays(names: Iterable[str], label: int, split: str = "train") -> list[Xray]:
    """X-rays with these file names of the public data set, each of other bytes."""
    folder = f"{split}/{('NORMAL', 'PNEUMONIA')[label]}"
    full = [f"{folder}/{name}" for name in names]
    images = [listed(name, label, split) for name in full]
    patients, _ = key_patients(images, public=True)
    return [
        Xray(x.name, x.label, patient, x.digest, _unread)
        for x, patient in zip(images, patients, strict=True)
    ]


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

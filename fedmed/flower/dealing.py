"""A cohort dealt into folders, one a hospital, as they would lie in five buildings."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from fedmed.data.cohort import Cohort, Xray, labels, patients
from fedmed.data.partition import split
from fedmed.task import CLASSES


def deal(cohort: Cohort, source: Path | None, folder: Path, hospitals: int, seed: int) -> list[str]:
    """Write folders hospital_1 ... with NORMAL/ and PNEUMONIA/; return their names.

    Patients are dealt by the label-skew partition. Files of `source`, where the cohort came from a
    folder, are linked as they are; others are written as PNG.
    """
    parts = split(
        patients(cohort.train),
        labels(cohort.train),
        hospitals=hospitals,
        scheme="label-skew",
        alpha=0.5,
        seed=seed,
    )
    names = [f"hospital_{number}" for number in range(1, hospitals + 1)]
    for name, part in zip(names, parts, strict=True):
        _write([cohort.train[place] for place in part], source, folder / name)
    return names


def _write(xrays: Sequence[Xray], source: Path | None, folder: Path) -> None:
    for label in CLASSES:
        (folder / label).mkdir(parents=True, exist_ok=True)
    for xray in xrays:
        to = folder / CLASSES[xray.label] / Path(xray.name).name
        original = source / xray.name if source else None
        if original is None or not original.is_file():
            xray.load().save(to.with_suffix(".png"))
            continue
        with suppress(OSError):
            os.link(original, to)
            continue
        shutil.copyfile(original, to)

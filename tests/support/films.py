"""A small data set of simulated radiographs, its names those of Mendeley v3."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from fedmed.simulation import simulate

TRAIN, TEST = 20, 8  # patients of each class


def write_films(root: Path, train: int = TRAIN, test: int = TEST) -> Path:
    """JPEG and PNG, grey and RGB, 64 to 224 pixels a side; some patients have two films."""
    for split, patients, first in (("train", train, 100), ("test", test, 1)):
        for label in (0, 1):
            for patient in range(first, first + patients):
                for film in range(1 + (patient % 10 == 0)):
                    _write(root / split / _name(label, patient, film), patient, label)
    return root


def _name(label: int, patient: int, film: int) -> str:
    suffix = "png" if patient % 7 == 0 else "jpeg"
    if label:
        kind = ("BACTERIA", "VIRUS")[patient % 2]
        return f"PNEUMONIA/{kind}-{40_000 + patient}-000{film + 1}.{suffix}"
    return f"NORMAL/NORMAL-{patient}-000{film + 1}.{suffix}"


def _write(path: Path, patient: int, label: int) -> None:
    size = (64, 100, 224)[patient % 3]
    image = Image.fromarray(simulate(patient, label, size=size).pixels)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.convert("RGB" if patient % 2 else "L").save(path, quality=90)

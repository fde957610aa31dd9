"""X-rays to click: the snapshot's own, or the simulated ones of this repository."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from fedmed.errors import FORMATS, ImageError
from fedmed.imaging.decode import decode
from fedmed.page.rendering import render
from fedmed.task import CLASSES

REPOSITORY = Path(__file__).parents[2] / "examples"
# What a file chooser offers: kinds, so that a phone shows its photos, and the endings of DICOM and
# TIFF, which not every system knows as kinds. Whatever is dropped or pasted is tried.
ACCEPT = (
    "image/jpeg,image/png,image/webp,image/bmp,image/tiff,application/dicom,.tif,.tiff,.dcm,.dicom"
)
THUMBNAIL = 160  # pixels, for a tile of 88 on a dense screen


@dataclass(frozen=True)
class Example:
    """An X-ray to click, decoded, with the label it came with."""

    image: Image.Image
    label: str
    source: str
    licence: str


class Tile(NamedTuple):
    """What is drawn of an example in the strip."""

    label: str
    source: str
    thumbnail: str  # a data URI
    chosen: bool


def load(*folders: Path) -> list[Example]:
    """The examples of the first folder that has any. One that can't be read is left out."""
    for folder in folders:
        opened = (_open(folder, entry) for entry in _listed(folder))
        if examples := [example for example in opened if example]:
            return examples
    return []


def strip(examples: Sequence[Example], chosen: int | None) -> str:
    """A button to choose a file, and tiles to click, as HTML."""
    tiles = [
        Tile(
            label=example.label,
            source=example.source,
            thumbnail=data_uri(example.image, THUMBNAIL, quality=80),
            chosen=number == chosen,
        )
        for number, example in enumerate(examples)
    ]
    return render("examples.html", tiles=tiles, formats=FORMATS, accept=ACCEPT)


def data_uri(image: Image.Image, longest: int, quality: int = 88) -> str:
    """A grey image as a JPEG that needs no request of its own, at most `longest` a side."""
    if max(image.size) > longest:
        image = image.copy()
        image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _listed(folder: Path) -> list[Any]:
    try:
        return list(json.loads((folder / "examples.json").read_text("utf-8"))["examples"])
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _open(folder: Path, entry: Any) -> Example | None:
    try:
        names = ("file", "label", "source", "licence")
        file, label, source, licence = (str(entry[name]) for name in names)
        # By its name, not by where a link in its place leads: the Hub's cache is made of links.
        if Path(file).name != file or label not in CLASSES:
            return None
        return Example(decode((folder / file).read_bytes()), label, source, licence)
    # The page comes up whatever a snapshot made by another program holds.
    except (OSError, ImageError, ValueError, KeyError, TypeError):
        return None

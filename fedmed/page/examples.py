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
from fedmed.page import standing
from fedmed.page.rendering import render
from fedmed.report import phrases
from fedmed.report.schema import Report
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
    how: str = ""  # all of its folder were chosen


class Tile(NamedTuple):
    """What is drawn of an example in the strip."""

    label: str
    source: str
    thumbnail: str  # a data URI
    chosen: bool


def load(*folders: Path) -> list[Example]:
    """The examples of the first folder that has any. One that can't be read is left out."""
    for folder in folders:
        entries, how = _listed(folder)
        opened = (_open(folder, entry, how) for entry in entries)
        if examples := [example for example in opened if example]:
            return examples
    return []


def told(examples: Sequence[Example], said: Sequence[str], report: Report | None = None) -> str:
    """How the examples were chosen, and which of them the federated model gets wrong.

    `said` are its labels; none where there is no such model. A dozen examples tell little of it,
    so what share it gets wrong of those that the report scored it on stands beside them.
    """
    words = [examples[0].how] if examples and examples[0].how else []
    if said:
        wrong = [
            str(number)
            for number, (example, label) in enumerate(zip(examples, said, strict=True), 1)
            if label != example.label
        ]
        which = f": {', '.join(wrong)}" if wrong else ""
        words.append(f"The federated model gets {len(wrong) or 'none'} of them wrong{which}.")
        if report and (scored := standing.scored_on(report)):
            protocol = scored[0].protocol
            right = report["protocols"][protocol]["models"]["federated"]["accuracy"]["value"]
            where = phrases.scored_on(report, protocol)
            words.append(f"On {where}, it gets {100 * (1 - right):.1f} % wrong.")
            simulated = all(example.source.startswith("simulated") for example in examples)
            of_people = simulated and not report["data"]["simulated"]
            if of_people and len(wrong) > 2 * (1 - right) * len(examples):
                words.append("It learned from real X-rays, which these are not.")
    return " ".join(words)


def strip(examples: Sequence[Example], chosen: int | None, how: str = "") -> str:
    """A button to choose a file, and tiles to click, as HTML; `how` is what is `told` of them."""
    tiles = [
        Tile(
            label=example.label,
            source=example.source,
            thumbnail=data_uri(example.image, THUMBNAIL, quality=80),
            chosen=number == chosen,
        )
        for number, example in enumerate(examples)
    ]
    return render("examples.html", tiles=tiles, how=how, formats=FORMATS, accept=ACCEPT)


def data_uri(image: Image.Image, longest: int, quality: int = 88) -> str:
    """A grey image as a JPEG that needs no request of its own, at most `longest` a side."""
    if max(image.size) > longest:
        image = image.copy()
        image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _listed(folder: Path) -> tuple[list[Any], str]:
    """The entries of a folder, and how they were chosen."""
    try:
        listing = json.loads((folder / "examples.json").read_text("utf-8"))
        return list(listing["examples"]), str(listing.get("chosen", ""))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return [], ""


def _open(folder: Path, entry: Any, how: str) -> Example | None:
    try:
        names = ("file", "label", "source", "licence")
        file, label, source, licence = (str(entry[name]) for name in names)
        # By its name, not by where a link in its place leads: the Hub's cache is made of links.
        if Path(file).name != file or label not in CLASSES:
            return None
        return Example(decode((folder / file).read_bytes()), label, source, licence, how)
    # The page comes up whatever a snapshot made by another program holds.
    except (OSError, ImageError, ValueError, KeyError, TypeError):
        return None

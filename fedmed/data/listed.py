"""An image as a source lists it, before it is known which patient it shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from PIL import Image


@dataclass(frozen=True)
class Listed:
    """One labelled image and all that its source says of the patient.

    `split` is "train", "test", or None where the source does not say.
    """

    name: str
    label: int
    digest: str
    load: Callable[[], Image.Image] = field(repr=False, compare=False)
    split: str | None = None
    told: str | None = None  # the patient, by --patients or a table
    pseudonym: str | None = None  # of the DICOM Patient ID
    folder: str | None = None  # the folder between the class's and the file

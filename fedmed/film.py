"""An uploaded file as what a reading needs of it, however large the picture was.

The largest radiographs have 64 MiB of grey levels, and a reading needs 50 KiB of them. So few
whole pictures are held at once, and only what is small waits for the backbone. Decoding may take
seconds, so those who send many files wait for one another, and not the others for them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from fedmed import sandbox
from fedmed.imaging.preprocessing import to_pixels
from fedmed.turns import Turns

_WHOLE = Turns(sandbox.MAX_WORKERS)


class Film(NamedTuple):
    """A decoded X-ray, made small."""

    pixels: np.ndarray  # uint8 [224, 224]: what the backbone sees
    colour: float  # its `imaging.colourfulness`


def develop(data: bytes, sender: str = "") -> Film:
    """Decode a JPEG, PNG or DICOM file.

    Files of one `sender` take turns with those of others.

    Raises:
        ImageError: it can't be read as a radiograph.
    """
    with _WHOLE.turn(sender):
        return _film(sandbox.read(data))


def develop_to_show(data: bytes, longest: int, sender: str = "") -> tuple[Film, Image.Image]:
    """`develop`, with a picture to look at: mode "L", at most `longest` a side.

    Raises:
        ImageError: it can't be read as a radiograph.
    """
    with _WHOLE.turn(sender):
        upload = sandbox.read(data)
        film = _film(upload)
        upload.image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
        return film, upload.image


def _film(upload: sandbox.Upload) -> Film:
    return Film(to_pixels(upload.image), upload.colour)

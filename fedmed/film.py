"""An uploaded file as what a reading needs of it, however large the picture was.

The largest radiographs have 64 MiB of grey levels, and a reading needs 50 KiB of them. So few
whole pictures are held at once, and only what is small waits for the backbone.
"""

from __future__ import annotations

import threading
from typing import NamedTuple

import numpy as np
from PIL import Image

from fedmed import sandbox
from fedmed.preprocessing import to_pixels

_WHOLE = threading.BoundedSemaphore(sandbox.MAX_WORKERS)


class Film(NamedTuple):
    """A decoded X-ray, made small."""

    pixels: np.ndarray  # uint8 [224, 224]: what the backbone sees
    colour: float  # its `imaging.colourfulness`


def develop(data: bytes) -> Film:
    """Decode a JPEG, PNG or DICOM file.

    Raises:
        ImageError: it can't be read as a radiograph.
    """
    with _WHOLE:
        return _film(sandbox.read(data))


def develop_to_show(data: bytes, longest: int) -> tuple[Film, Image.Image]:
    """Decode a file, with a picture to look at: mode "L", at most `longest` a side.

    Raises:
        ImageError: it can't be read as a radiograph.
    """
    with _WHOLE:
        upload = sandbox.read(data)
        film = _film(upload)
        upload.image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
        return film, upload.image


def _film(upload: sandbox.Upload) -> Film:
    return Film(to_pixels(upload.image), upload.colour)

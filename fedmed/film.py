"""An uploaded file as what a reading needs of it, however large the picture was.

A radiograph of 100 megapixels takes a gigabyte while it is decoded, and a few hundred kilobytes
afterwards. So few are decoded at once, and only what is small waits for the backbone.
"""

from __future__ import annotations

import threading
from typing import NamedTuple

import numpy as np
from PIL import Image

from fedmed.imaging import decode
from fedmed.outliers import colourfulness
from fedmed.preprocessing import to_pixels

_DECODING = threading.BoundedSemaphore(2)


class Film(NamedTuple):
    """A decoded X-ray, made small."""

    pixels: np.ndarray  # uint8 [224, 224]: what the backbone sees
    colour: float  # its `outliers.colourfulness`


def develop(data: bytes) -> Film:
    """Decode a JPEG, PNG or DICOM file.

    Raises:
        ImageError: it can't be read as a radiograph.
    """
    with _DECODING:
        return Film(to_pixels(decode(data)), colourfulness(data))


def develop_to_show(data: bytes, longest: int) -> tuple[Film, Image.Image]:
    """Decode a file, with a picture to look at: mode "L", at most `longest` a side.

    Raises:
        ImageError: it can't be read as a radiograph.
    """
    with _DECODING:
        picture = decode(data)
        film = Film(to_pixels(picture), colourfulness(data))
        picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)
        return film, picture

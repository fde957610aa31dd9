"""What the image and the DICOM decoder share: the error, the limits, levels to 8 bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fedmed.errors import UserError

ACCEPTED = "Accepted: JPEG, PNG or DICOM."
MAX_MEGAPIXELS = 100
MIN_SIDE = 32


class ImageError(UserError):
    """What was given can't be read as a radiograph. The message is safe to render as HTML."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"{problem} {ACCEPTED}")


def check_dimensions(width: int, height: int) -> None:
    """Raise ImageError unless a decoder may spend memory on an image of this size."""
    if min(width, height) < MIN_SIDE:
        raise ImageError(
            f"The image is {width} x {height} pixels; each side needs at least {MIN_SIDE}."
        )
    if width * height > MAX_MEGAPIXELS * 1_000_000:
        raise ImageError(
            f"The image is {width} x {height} pixels; the limit is {MAX_MEGAPIXELS} megapixels."
        )


def to_8_bits(
    levels: NDArray[np.generic], low: float | None = None, high: float | None = None
) -> NDArray[np.uint8]:
    """Map low..high (unless given: the range of the finite levels) linearly to 0..255, clipped.

    An image of one single level carries no contrast and becomes black.
    """
    values = levels.astype(np.float32)
    if low is None or high is None:
        finite = values[np.isfinite(values)]
        if finite.size == 0:
            raise ImageError("The image holds no pixel values.")
        low, high = float(finite.min()), float(finite.max())
    if high <= low:
        return np.zeros(values.shape, np.uint8)
    scaled = np.nan_to_num((values - low) * (255.0 / (high - low)))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)

"""What the image and the DICOM decoder share: the limits, and levels to 8 bits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmed.errors import ImageError

MAX_MEGAPIXELS = 64  # the largest films have some 50
MIN_SIDE = 32
FEW = 0.05  # of a film's pixels that a burnt-in marker has at most
TOO_LARGE = "The image needs too much memory."


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
    """Map low..high (unless given: `film_range` of the finite levels) linearly to 0..255, clipped.

    An image of one single level carries no contrast and becomes black, as does what is not a
    number. Raises ImageError where no level is finite.
    """
    flat = levels.reshape(-1)
    if low is None or high is None:
        low, high = _own_range(flat)
    shown = np.zeros(flat.shape, np.uint8)
    if high > low:
        for part in parts(flat):
            # Halved, for the distance between the largest numbers is no number.
            values = (flat[part].astype(np.float64) / 2 - low / 2) / (high / 2 - low / 2) * 255
            shown[part] = np.clip(np.rint(np.nan_to_num(values)), 0, 255)
    return shown.reshape(levels.shape)


def film_range(values: NDArray[Any], counts: NDArray[Any]) -> tuple[float, float]:
    """The range of finite levels [n], each of `counts` pixels, without those of a burnt-in marker.

    A marker is what few pixels have, farther from all others than these are from one another: a
    12-bit film in 16 bits with an "R" of 65535 would else be shown in 16 of the 256 levels.
    """
    order = np.argsort(values, kind="stable")
    values, counts = values[order].astype(np.float64), counts[order]
    values, counts = values[counts > 0] / 2, counts[counts > 0]  # halved, as in `to_8_bits`
    few = FEW * counts.sum()
    while len(values) > 2:
        gaps = np.diff(values)
        widest = int(gaps.argmax())
        below, above = slice(0, widest + 1), slice(widest + 1, None)
        if gaps[widest] <= (values[-1] - values[0]) / 2:
            break
        kept = below if counts[above].sum() <= few else above
        cut = above if kept is below else below
        if counts[cut].sum() > few or not np.ptp(values[kept]):
            break
        values, counts = values[kept], counts[kept]
    return float(values[0] * 2), float(values[-1] * 2)


def parts(flat: NDArray[np.generic]) -> Iterator[slice]:
    """Slices of a million: their copies as float64 are small, whatever the image's size."""
    return (slice(start, start + 2**20) for start in range(0, len(flat), 2**20))


def _own_range(flat: NDArray[np.generic]) -> tuple[float, float]:
    """`film_range` of what of the levels is finite, by a million of them and the two ends."""
    ends = np.array(_finite_range(flat))
    sample = flat[:: max(1, len(flat) // 2**20)].astype(np.float64)
    known = np.concatenate([ends, sample[np.isfinite(sample)]])
    return film_range(*np.unique(known, return_counts=True))


def _finite_range(flat: NDArray[np.generic]) -> tuple[float, float]:
    low, high = np.inf, -np.inf
    for part in parts(flat):
        values = flat[part].astype(np.float64)
        finite = values[np.isfinite(values)]
        low, high = min(low, finite.min(initial=low)), max(high, finite.max(initial=high))
    if low > high:
        raise ImageError("The image holds no pixel values.")
    return float(low), float(high)

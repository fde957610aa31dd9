"""X-rays as another site might have taken them: pixels 224 x 224 in, changed pixels out.

Each shift moves one thing by which the two classes of the public data set differ for no reason of
the disease (aspect ratio, framing, sharpness, contrast), or several at once. Nothing is drawn: the
same pixels always give the same result.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter, ImageOps

Shift = Callable[[Image.Image], Image.Image]


def _cut(across: int, down: int) -> Shift:
    """Cut so many pixels off at either side, and stretch the rest to the old size."""

    def apply(image: Image.Image) -> Image.Image:
        width, height = image.size
        return image.resize(
            image.size, Image.Resampling.BILINEAR, (across, down, width - across, height - down)
        )

    return apply


def _coarse(size: int) -> Shift:
    """As if it had been stored at `size` x `size`."""

    def apply(image: Image.Image) -> Image.Image:
        small = image.resize((size, size), Image.Resampling.BILINEAR)
        return small.resize(image.size, Image.Resampling.BILINEAR)

    return apply


def _filter(kind: ImageFilter.Filter) -> Shift:
    return lambda image: image.filter(kind)


def _levels(change: Callable[[np.ndarray], np.ndarray]) -> Shift:
    """Grey values in 0..1 sent through `change`, and cut off at black and white."""
    table = np.rint(255 * np.clip(change(np.arange(256) / 255), 0, 1)).astype(int).tolist()
    return lambda image: image.point(table)


def _contrast(factor: float) -> Shift:
    return _levels(lambda grey: (grey - 0.5) * factor + 0.5)


def _shrink(margin: int) -> Shift:
    """Zoom out until so many pixels of black frame it."""

    def apply(image: Image.Image) -> Image.Image:
        width, height = image.size
        inner = (width - 2 * margin, height - 2 * margin)
        return ImageOps.expand(image.resize(inner, Image.Resampling.BILINEAR), margin)

    return apply


def _turn(degrees: float) -> Shift:
    return lambda image: image.rotate(degrees, Image.Resampling.BILINEAR)


def _jpeg(quality: int) -> Shift:
    def apply(image: Image.Image) -> Image.Image:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer).convert("L")

    return apply


def _chain(*shifts: Shift) -> Shift:
    def apply(image: Image.Image) -> Image.Image:
        for shift in shifts:
            image = shift(image)
        return image

    return apply


SHIFTS: dict[str, Shift] = {
    "rows cut": _cut(0, 20),
    "columns cut": _cut(20, 0),
    "framed closer": _cut(12, 12),
    "framed much closer": _cut(24, 24),
    "coarse": _coarse(96),
    "blurred": _filter(ImageFilter.GaussianBlur(1.5)),
    "sharpened": _filter(ImageFilter.UnsharpMask(2, 150, 0)),
    "less contrast": _contrast(0.65),
    "more contrast": _contrast(1.4),
    "turned, closer, paler, compressed": _chain(
        _turn(7), _cut(16, 16), _levels(lambda grey: 0.85 * grey**1.3 + 0.05), _jpeg(30)
    ),
    "wider, more contrast, sharpened": _chain(
        _shrink(16), _contrast(1.3), _filter(ImageFilter.UnsharpMask(1.5, 120, 0))
    ),
}


def shift_pixels(number: int, pixels: np.ndarray) -> np.ndarray:
    """uint8 pixels [n, 224, 224] after the shift at place `number` of SHIFTS, shaped alike."""
    shift = tuple(SHIFTS.values())[number]
    return np.stack([np.asarray(shift(Image.fromarray(one))) for one in pixels])

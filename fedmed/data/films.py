"""Films that came out of decoding with something wrong: flat, inverted against the others, clipped.

What is measured of each picture is a row that lies in the cache of features, so that a later run
need not read the picture again: three figures, then a thumbnail of 56 x 56 grey levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fedmed.data.trouble import named
from fedmed.task import IMAGE_SIZE

SIDE = 56  # of the thumbnail
COARSE = 14  # and of what is compared of it
_FIGURES = 3  # range, share of black, share of white
WIDTH = _FIGURES + SIDE * SIDE
_CENTRE = slice(IMAGE_SIZE // 8, -IMAGE_SIZE // 8)  # borders and markers are often black or white

NEARLY_CONSTANT = 16.0  # grey levels between the 1st and the 99th percentile
INVERTED = -0.1  # correlation with the median film; of the public data set's none is below 0.2
FEWEST = 10  # films that make a median to compare with
CLIPPED = 0.25  # of the middle of the picture in the two darkest levels, or the two brightest


def measure(pixels: np.ndarray) -> np.ndarray:
    """Measure decoded pictures, uint8 [n, 224, 224]: float32 [n, WIDTH], see above."""
    out = np.zeros((len(pixels), WIDTH), np.float32)
    middle = pixels[:, _CENTRE, _CENTRE].reshape(len(pixels), -1)
    block = IMAGE_SIZE // SIDE
    for row, (picture, inside) in enumerate(zip(pixels, middle, strict=True)):
        counts = np.bincount(inside, minlength=256)
        low, high = np.searchsorted(counts.cumsum() / inside.size, (0.01, 0.99))
        out[row, :_FIGURES] = (
            high - low,
            counts[:2].sum() / inside.size,
            counts[254:].sum() / inside.size,
        )
        blocks = picture.reshape(SIDE, block, SIDE, block)
        out[row, _FIGURES:] = blocks.mean((1, 3)).reshape(-1)
    return out


def thumbnails(measured: np.ndarray) -> np.ndarray:
    """The pictures [n, SIDE, SIDE] that `measure` kept, float32 in 0..255."""
    return measured[:, _FIGURES:].reshape(len(measured), SIDE, SIDE)


def judge(names: Sequence[str], measured: np.ndarray) -> dict[str, Any]:
    """The report's `films`: how many were looked at, and the names of those of each kind."""
    spread, black, white = measured[:, :_FIGURES].T
    flat = spread < NEARLY_CONSTANT
    kinds = {
        "nearly_constant": flat,
        "inverted": (_likeness(measured) < INVERTED) & ~flat,
        "clipped": (np.maximum(black, white) > CLIPPED) & ~flat,
    }
    found = {
        kind: sorted(name for name, is_one in zip(names, mask, strict=True) if is_one)
        for kind, mask in kinds.items()
    }
    return {"looked_at": len(names), **found}


def words(films: dict[str, Any]) -> list[str]:
    """One line for each kind of film found."""
    titles = {
        "nearly_constant": "nearly of one grey",
        "inverted": "inverted against the others",
        "clipped": "clipped to black or white",
    }
    return [
        f"Trouble: {len(films[kind]):,} films are {title}: {named(films[kind])}."
        for kind, title in titles.items()
        if films[kind]
    ]


def _likeness(measured: np.ndarray) -> np.ndarray:
    """The correlation [n] of each picture with the median of all; 1 where there are too few."""
    if len(measured) < FEWEST:
        return np.ones(len(measured), np.float32)
    blocks = thumbnails(measured).reshape(-1, COARSE, SIDE // COARSE, COARSE, SIDE // COARSE)
    coarse = blocks.mean((2, 4)).reshape(len(measured), -1)
    centred = coarse - coarse.mean(1, keepdims=True)
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6)
    median = np.median(centred, 0)
    median -= median.mean()
    return centred @ (median / max(float(np.linalg.norm(median)), 1e-6))

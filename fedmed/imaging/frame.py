"""The plain frame that a viewer or a screenshot puts around a film is cut off, with its text.

A row or column belongs to a frame where nearly all of it is one black or one white, from the edge
inwards; what else is in it are letters. Films have dark margins of their own, beside the arms: they
end gradually and are narrow, so only what ends at a straight edge, or is wider than those, is cut.
Of the public data set's films that is one in a hundred, by a border of their own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BLACK, WHITE = 40, 225  # a frame is at most so bright, or at least
SAME = 5  # levels around the frame's own that JPEG makes of it
SHARE = 0.88  # of a row that is frame; letters are the rest
NARROWEST = 0.03  # of a side: less is no frame
WIDEST = 0.16  # of a side: no film's own margin is so wide
STRAIGHT = 0.6  # of the first row inside that is no frame, where the frame ends at an edge
SMALLEST = 0.25  # of a side that has to be left
_FRAMES = 4  # one in the other: a page, its window, a viewer in it


def without_frame(image: Image.Image) -> Image.Image | None:
    """What is inside the frame of a grey picture; None where there is none that is safely cut."""
    levels = np.asarray(image)
    left, top, right, bottom = box = 0, 0, *image.size
    for _ in range(_FRAMES):
        inner = levels[top:bottom, left:right]
        cuts = [_width(side) for side in (inner.T, inner, inner.T[::-1], inner[::-1])]
        left, top, right, bottom = left + cuts[0], top + cuts[1], right - cuts[2], bottom - cuts[3]
        if right - left < SMALLEST * image.width or bottom - top < SMALLEST * image.height:
            return None
        if not any(cuts):
            break
    found = left, top, right, bottom
    return None if found == box else image.crop(found)


def _width(levels: NDArray[np.uint8]) -> int:
    """How many of the first rows of levels [h, w] are a frame."""
    plain = _is_plain(levels)
    width, height = int(plain.argmin()), len(plain)
    if plain.all() or width < NARROWEST * height:
        return 0
    inside = levels[min(width + max(2, height // 100), height - 1)].astype(np.int16)
    straight = np.mean(np.abs(inside - np.median(levels[width - 1])) > 2 * SAME) >= STRAIGHT
    return width if straight or width >= WIDEST * height else 0


def _is_plain(levels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which rows of levels [h, w] are nearly all of one black or white."""
    level = np.median(levels, axis=1).astype(np.int16)
    near = (np.abs(levels.astype(np.int16) - level[:, None]) <= SAME).mean(1) >= SHARE
    return np.asarray(near & ((level <= BLACK) | (level >= WHITE)))

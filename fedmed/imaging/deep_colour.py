"""16-bit colour in PNG and TIFF files, of which Pillow keeps the high bytes only.

A 12-bit radiograph saved that way would be left with 16 grey levels. So the pixels are decoded
twice: as they are, and with the byte order turned round, which gives the low bytes.
"""

from __future__ import annotations

import sys
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fedmed.imaging import tint

_FOREIGN = ";16B" if sys.byteorder == "little" else ";16L"
_TURNED = {";16L": ";16B", ";16B": ";16L", ";16N": _FOREIGN}
_COLOUR = ("RGB", "RGBA", "RGBX")
_GREY_AND_ALPHA = "LA;16B"
_ROWS = 256  # at a time


def is_deep(image: Image.Image) -> bool:
    """Whether an image, not yet loaded, has 16 bits a colour and can be read with all of them."""
    raw = _raw_mode(image)
    return raw == _GREY_AND_ALPHA or (raw[:-4] in _COLOUR and raw[-4:] in _TURNED)


def grey_levels(image: Image.Image, data: bytes) -> tuple[NDArray[np.uint16], float]:
    """The grey levels [height, width] of such an image, and its `tint.colourfulness`.

    What is transparent is black. `data` is the file that `image` was opened from.
    """
    raw = _raw_mode(image)
    if raw == _GREY_AND_ALPHA:
        # Four bytes a pixel, and read as such: grey's two and alpha's two.
        pixels = _decoded(data, image.format, "RGBA")
        grey, alpha = (_joined(pixels[..., at], pixels[..., at + 1]) for at in (0, 2))
        return _over_black(grey, alpha), 0.0
    clear = image.info.get("transparency")
    low = _decoded(data, image.format, raw[:-4] + _TURNED[raw[-4:]])
    high = np.asarray(image)
    some = tint.small(image.convert("RGB"))
    weights, offset = tint.balance(some)
    grey = np.empty(high.shape[:2], np.uint16)
    for start in range(0, len(high), _ROWS):
        rows = slice(start, start + _ROWS)
        colours = _joined(high[rows], low[rows])
        levels = colours[..., :3].astype(np.float32) @ np.array(weights, np.float32)
        grey[rows] = np.clip(np.rint(levels + 257 * offset), 0, 65535)
        if colours.shape[2] == 4:
            grey[rows] = _over_black(grey[rows], colours[..., 3])
        elif isinstance(clear, tuple):
            grey[rows][(colours == clear).all(2)] = 0
    return grey, tint.colourfulness(some)


def _joined(high: NDArray[np.uint8], low: NDArray[np.uint8]) -> NDArray[np.uint16]:
    return np.bitwise_or(np.left_shift(high, 8, dtype=np.uint16), low)


def _over_black(grey: NDArray[np.uint16], alpha: NDArray[np.uint16]) -> NDArray[np.uint16]:
    return (grey.astype(np.uint32) * alpha // 65535).astype(np.uint16)


def _decoded(data: bytes, kind: str | None, raw_mode: str) -> NDArray[np.uint8]:
    """The image's channels [height, width, n], its bytes taken for `raw_mode`."""
    image = Image.open(BytesIO(data), formats=(kind or "",))
    image.tile = [
        tile._replace(
            args=raw_mode if isinstance(tile.args, str) else (raw_mode, *(tile.args or ())[1:])
        )
        for tile in image.tile
    ]
    return np.asarray(image)


def _raw_mode(image: Image.Image) -> str:
    tiles = getattr(image, "tile", ())
    args = tiles[0].args if tiles else ""
    return args if isinstance(args, str) else str((args or ("",))[0])

"""TIFF files of more than 8 bits as they are meant: what Pillow leaves to do, or does wrong."""

from __future__ import annotations

import sys

from PIL import Image, TiffImagePlugin

from fedmed.errors import ImageError

DEEP_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")
_WHITE_IS_ZERO, _BLACK_IS_ZERO = 0, 1  # PhotometricInterpretation
_SEPARATE_PLANES = 2  # PlanarConfiguration
# Raw modes of big-endian files and what they are once libtiff has turned the bytes round.
_TURNED = {"I;16BS": "I;16S", "I;32BS": "I;32S", "F;32BF": "F;32F"}


def read_white_is_zero() -> None:
    """Have Pillow open as many kinds of deep grey TIFF with white as zero as with black."""
    known = TiffImagePlugin.OPEN_INFO
    for key, modes in list(known.items()):
        order, photometric, sample, fill, bits, extra = key
        if photometric == _BLACK_IS_ZERO and modes[0] in DEEP_MODES:
            known.setdefault((order, _WHITE_IS_ZERO, sample, fill, bits, extra), modes)


def is_negative(image: Image.Image) -> bool:
    """Whether white is zero in an image of DEEP_MODES: of 8 bits, Pillow turns that over itself."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return False
    return image.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == _WHITE_IS_ZERO


def prepare(image: Image.Image) -> None:
    """Have the pixels of an image, not yet loaded, read in the byte order that they come in.

    Raises ImageError where Pillow would read others. Nothing is done to other formats.
    """
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return
    bits = image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE) or (1,)
    planes = image.tag_v2.get(TiffImagePlugin.PLANAR_CONFIGURATION)
    if planes == _SEPARATE_PLANES and len(bits) > 1 and max(bits) > 8:
        raise ImageError(
            "16-bit colour in separate planes can't be read; save the film as 16-bit greyscale."
        )
    if sys.byteorder == "little":
        image.tile = [
            tile._replace(args=(_TURNED.get(tile.args[0], tile.args[0]), *tile.args[1:]))
            if tile.codec_name == "libtiff" and isinstance(tile.args, tuple)
            else tile
            for tile in image.tile
        ]

"""Bytes to a greyscale radiograph: every format an upload or a data set may hold."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageChops

from fedmed.errors import ImageError
from fedmed.imaging import deep_colour, deep_tiff, dicom, tint
from fedmed.imaging.levels import MAX_MEGAPIXELS, TOO_LARGE, check_dimensions, to_8_bits

MAX_MEBIBYTES = 64
# Pillow would otherwise try every decoder it has, PostScript among them.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
PNG = b"\x89PNG\r\n\x1a\n"
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


# Of these, colours are made grey by what of them is tint; the others have none.
COLOUR_MODES = ("RGB", "RGBA", "RGBX", "P", "PA", "CMYK", "YCbCr", "HSV")

deep_tiff.read_white_is_zero()


class Decoded(NamedTuple):
    """A decoded picture."""

    image: Image.Image  # mode "L", full size and upright
    colour: float  # 0..255, see `tint.colourfulness`; 0 for what has no colours


def decode(data: bytes) -> Image.Image:
    """What `decode_with_colour` decodes, as mode "L"."""
    return decode_with_colour(data).image


def decode_with_colour(data: bytes) -> Decoded:
    """Decode JPEG, PNG, DICOM (WebP, BMP and TIFF too) into mode "L", full size and upright.

    More than 8 bits of grey or colour are mapped to 0..255 by the image's own range, without a
    burnt-in marker far from it (see `levels.film_range`); a tint is undone (see `tint`);
    transparency becomes black; of several frames the first is taken (a DICOM must have one).
    Raises ImageError for anything else, and for more than 64 MiB, more than 64 megapixels or less
    than 32 pixels on a side, before any pixel is decoded.
    """
    if not data:
        raise ImageError("The file is empty.")
    if len(data) > MAX_MEBIBYTES * 2**20:
        raise ImageError(
            f"The file has {len(data) / 2**20:.0f} MiB; the limit is {MAX_MEBIBYTES} MiB."
        )
    if dicom.recognises(data):
        return Decoded(*dicom.decode(data))
    image = _open(data)
    check_dimensions(*image.size)
    try:
        grey, colour = _grey(image, data)
        return Decoded(_upright(grey, image), colour)
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError(TOO_LARGE) from error
    # A damaged file makes Pillow's decoders raise almost anything.
    except Exception as error:
        raise ImageError("The image is damaged or incomplete.") from error


def _open(data: bytes) -> Image.Image:
    """Read the header only."""
    # Pillow fills the canvas of an animated PNG as it opens it: too late to ask for its size.
    for size in _png_sizes(data):
        check_dimensions(*size)
    try:
        return Image.open(BytesIO(data), formats=FORMATS)
    except Image.UnidentifiedImageError as error:
        raise ImageError("The file is not an image in a known format.") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"The image has more than {MAX_MEGAPIXELS} megapixels.") from error
    except MemoryError as error:
        raise ImageError(TOO_LARGE) from error
    except Exception as error:
        raise ImageError("The image's header is damaged.") from error


def _png_sizes(data: bytes) -> Iterator[tuple[int, int]]:
    """Width and height in every header that a PNG has before its pixels; Pillow takes the last."""
    place = len(PNG) if data.startswith(PNG) else len(data)
    while place + 16 <= len(data):
        length, name = struct.unpack_from(">I4s", data, place)
        if name == b"IDAT":
            return
        if name == b"IHDR":
            yield struct.unpack_from(">II", data, place + 8)
        place += 12 + length


def _grey(image: Image.Image, data: bytes) -> tuple[Image.Image, float]:
    deep_tiff.prepare(image)
    if image.mode in deep_tiff.DEEP_MODES:
        return _deep_grey(image), 0.0
    if image.mode == "LAB":
        raise ImageError("The image's colours are LAB, which is not supported.")
    if deep_colour.is_deep(image):
        levels, colour = deep_colour.grey_levels(image, data)
        return Image.fromarray(to_8_bits(levels)), colour
    if image.has_transparency_data:
        colours = image.convert("RGBA")
        grey, colour = tint.to_grey(colours.convert("RGB"))
        return ImageChops.multiply(grey, colours.getchannel("A")), colour
    if image.mode in COLOUR_MODES:
        return tint.to_grey(image.convert("RGB"))
    return image.convert("L"), 0.0


def _deep_grey(image: Image.Image) -> Image.Image:
    levels = np.asarray(image)
    grey = to_8_bits(levels)
    if deep_tiff.is_negative(image):
        grey = 255 - grey
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey[levels == transparent] = 0
    return Image.fromarray(grey)


def _upright(grey: Image.Image, source: Image.Image) -> Image.Image:
    try:
        orientation = source.getexif().get(ExifTags.Base.Orientation, 1)
    # Damaged metadata is no reason to refuse sound pixels.
    except Exception:
        orientation = 1
    turn = TURNS.get(orientation)
    return grey if turn is None else grey.transpose(turn)

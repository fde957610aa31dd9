"""Bytes to a greyscale radiograph: every format an upload or a data set may hold."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO

import numpy as np
from PIL import ExifTags, Image, ImageChops

from fedmed.errors import ImageError
from fedmed.imaging import deep_colour, deep_tiff, dicom
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


deep_tiff.read_white_is_zero()


def decode(data: bytes) -> Image.Image:
    """Decode JPEG, PNG, DICOM (WebP, BMP and TIFF too) into mode "L", full size and upright.

    More than 8 bits of grey or colour are mapped to 0..255 by the image's own range, without a
    burnt-in marker far from it (see `pixels.film_range`); transparency becomes black; of several
    frames the first is taken (a DICOM must have one). Raises ImageError for anything else, and
    for more than 64 MiB, more than 64 megapixels or less than 32 pixels on a side, before any
    pixel is decoded.
    """
    if not data:
        raise ImageError("The file is empty.")
    if len(data) > MAX_MEBIBYTES * 2**20:
        raise ImageError(
            f"The file has {len(data) / 2**20:.0f} MiB; the limit is {MAX_MEBIBYTES} MiB."
        )
    if dicom.recognises(data):
        return dicom.decode(data)
    image = _open(data)
    check_dimensions(*image.size)
    try:
        return _upright(_grey(image, data), image)
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError(TOO_LARGE) from error
    # A damaged file makes Pillow's decoders raise almost anything.
    except Exception as error:
        raise ImageError("The image is damaged or incomplete.") from error


def colourfulness(data: bytes) -> float:
    """The mean difference between the strongest and the weakest colour of an encoded image, 0..255.

    0 for what has no colours, DICOM included. The image must be one that `decode` accepts.
    """
    if dicom.recognises(data):
        return 0.0
    image = Image.open(BytesIO(data), formats=FORMATS)
    if image.mode not in ("RGB", "RGBA", "P", "PA", "CMYK", "YCbCr"):
        return 0.0
    image.draft("RGB", (128, 128))  # a large JPEG is decoded small
    colours = np.asarray(image.convert("RGB").resize((64, 64)), np.float32)
    return float(np.mean(colours.max(2) - colours.min(2)))


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


def _grey(image: Image.Image, data: bytes) -> Image.Image:
    deep_tiff.prepare(image)
    if image.mode in deep_tiff.DEEP_MODES:
        return _deep_grey(image)
    if image.mode == "LAB":
        raise ImageError("The image's colours are LAB, which is not supported.")
    if deep_colour.is_deep(image):
        return Image.fromarray(to_8_bits(deep_colour.grey_levels(image, data)))
    if image.has_transparency_data:
        colour = image.convert("RGBA")
        return ImageChops.multiply(colour.convert("L"), colour.getchannel("A"))
    return image.convert("L")


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

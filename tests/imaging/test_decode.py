"""Every image format in, one upright 8-bit greyscale radiograph out."""

from __future__ import annotations

import io
import random
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from fedmed.errors import ImageError, UserError
from fedmed.imaging.decode import decode

SIDE = 64
RAMP = np.tile(np.arange(SIDE, dtype=np.uint8) * 4, (SIDE, 1))  # dark left, bright right


def encoded(image: Image.Image, fmt: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, fmt, **options)
    return buffer.getvalue()


def pixels(data: bytes) -> np.ndarray:
    image = decode(data)
    assert image.mode == "L"
    return np.asarray(image).astype(int)


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG that Pillow itself can't write; `rows` with the filter byte before each row."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + crc

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_keeps_grey_levels_in_every_colour_space(mode: str) -> None:
    data = encoded(Image.fromarray(RAMP).convert(mode), "JPEG", quality=95)
    assert np.abs(pixels(data) - RAMP).max() <= 6


def test_cmyk_jpeg_is_adobe_inverted_on_disk_and_not_in_the_result() -> None:
    data = encoded(Image.fromarray(RAMP).convert("CMYK"), "JPEG", quality=95)
    assert b"Adobe" in data
    grey = pixels(data)
    assert grey[0, 0] < 10 and grey[0, -1] > 240


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("fmt", ["JPEG", "PNG"])
def test_exif_orientation_is_undone(orientation: int, fmt: str) -> None:
    upright = np.zeros((40, 60), np.uint8)
    upright[:20, :30] = 255  # a bright upper left corner tells all eight orientations apart
    upright[:10, 30:] = 128
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(np.ascontiguousarray(stored)), fmt, exif=exif)
    shown = pixels(data)
    assert shown.shape == (40, 60)
    assert np.abs(shown - upright).mean() < 3


def test_damaged_exif_does_not_refuse_sound_pixels() -> None:
    exif = b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\xff\xff"
    data = encoded(Image.fromarray(RAMP), "JPEG", quality=95, exif=exif)
    assert np.abs(pixels(data) - RAMP).max() <= 6


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P"])
def test_png_of_eight_bits_is_exact(mode: str) -> None:
    data = encoded(Image.fromarray(RAMP).convert(mode), "PNG")
    assert np.abs(pixels(data) - RAMP).max() <= (3 if mode == "P" else 0)


def test_png_of_one_bit_is_black_and_white() -> None:
    data = encoded(Image.fromarray((RAMP > 100).astype(np.uint8) * 255).convert("1"), "PNG")
    assert np.array_equal(pixels(data), (RAMP > 100) * 255)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_is_composited_on_black(mode: str) -> None:
    image = Image.new("L", (SIDE, SIDE), 200).convert(mode)
    image.putalpha(Image.fromarray(RAMP))
    assert np.abs(pixels(encoded(image, "PNG")) - RAMP * (200 / 255)).max() <= 1


def test_a_transparent_palette_entry_or_grey_level_becomes_black() -> None:
    palette = Image.fromarray(RAMP).convert("P")
    brightest = palette.getpixel((SIDE - 1, 0))
    assert pixels(encoded(palette, "PNG", transparency=brightest))[0, -1] == 0
    assert pixels(encoded(Image.fromarray(RAMP), "PNG", transparency=252))[0, -1] == 0
    deep = Image.fromarray(RAMP.astype(np.uint16) * 16)
    assert pixels(encoded(deep, "PNG", transparency=252 * 16))[0, -1] == 0


@pytest.mark.parametrize("fmt", ["PNG", "TIFF"])
def test_a_12_bit_ramp_in_16_bits_keeps_its_levels(fmt: str) -> None:
    ramp = np.tile(np.arange(4096, dtype=np.uint16), (32, 1))
    grey = pixels(encoded(Image.fromarray(ramp), fmt))
    assert grey.shape == ramp.shape
    assert np.unique(grey).size == 256
    assert grey[0, 0] == 0 and grey[0, -1] == 255
    assert np.all(np.diff(grey[0]) >= 0)
    assert np.bincount(grey[0]).max() <= 17


def test_a_16_bit_image_uses_its_own_range_not_the_format_s() -> None:
    levels = 30_000 + RAMP.astype(np.uint16)
    assert np.array_equal(
        pixels(encoded(Image.fromarray(levels), "PNG")), np.rint(RAMP / 252 * 255)
    )


def test_a_floating_point_tiff_is_read_and_nan_is_black() -> None:
    levels = RAMP.astype(np.float32) / 1000 - 5
    levels[0, 0] = np.nan
    grey = pixels(encoded(Image.fromarray(levels), "TIFF"))
    assert grey[0, 0] == 0 and grey[0, -1] == 255 and 120 < grey[0, 32] < 135


@pytest.mark.parametrize("fmt", ["WEBP", "BMP", "TIFF"])
def test_other_formats_that_pillow_reads(fmt: str) -> None:
    options = {"lossless": True} if fmt == "WEBP" else {}
    assert np.abs(pixels(encoded(Image.fromarray(RAMP), fmt, **options)) - RAMP).max() <= 2


def test_the_first_of_several_frames_is_taken() -> None:
    first, second = Image.fromarray(RAMP), Image.fromarray(255 - RAMP)
    data = encoded(first, "TIFF", save_all=True, append_images=[second])
    assert np.array_equal(pixels(data), RAMP)


def test_limits_are_told_from_the_header() -> None:
    # Neither holds any pixels, so a message about damage would show that they were looked for.
    with pytest.raises(ImageError, match=r"20000 x 6000 pixels; the limit is 64 megapixels"):
        decode(png(20_000, 6_000, 8, 0, b""))
    with pytest.raises(ImageError, match=r"60000 x 60000 pixels; the limit is 64 megapixels"):
        decode(png(60_000, 60_000, 8, 0, b""))
    with pytest.raises(ImageError, match=r"31 x 64 pixels; each side needs at least 32"):
        decode(png(31, 64, 8, 0, b""))
    assert pixels(encoded(Image.new("L", (32, 32)), "PNG")).shape == (32, 32)


def test_too_many_bytes_are_refused_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = encoded(Image.fromarray(RAMP), "PNG")
    monkeypatch.setattr("fedmed.imaging.decode.MAX_MEBIBYTES", len(data) / 2**20 - 1e-6)
    with pytest.raises(ImageError, match="the limit is"):
        decode(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"%!PS-Adobe-3.0 EPSF-3.0\n" * 9,
        b"GIF89a",
    ],
)
def test_what_is_no_image_is_refused_and_told_what_is_accepted(data: bytes) -> None:
    with pytest.raises(ImageError, match="JPEG, PNG, DICOM, TIFF, BMP or WebP") as caught:
        decode(data)
    assert isinstance(caught.value, UserError)
    assert "BytesIO" not in str(caught.value)


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "TIFF", "WEBP", "BMP"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_refused(fmt: str, kept: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE), np.uint8)
    data = encoded(Image.fromarray(noise), fmt)
    with pytest.raises(ImageError):
        decode(data[: int(len(data) * kept)])


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.filterwarnings("ignore")
def test_damaged_bytes_never_raise_anything_else(fmt: str) -> None:
    rng = random.Random(0)
    sound = encoded(Image.fromarray(RAMP), fmt)
    refused = 0
    for _ in range(150):
        data = bytearray(sound)
        for _ in range(rng.randint(1, 8)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            assert decode(bytes(data)).mode == "L"
        except ImageError:
            refused += 1
    assert refused

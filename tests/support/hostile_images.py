"""Hostile and odd images, and what each must come to: one table."""

from __future__ import annotations

import functools
import pickle
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image

from tests.support.image_bytes import (
    BLACK,
    PICTURE,
    SIGNATURE,
    animation,
    bmp,
    bomb,
    chain,
    chunk,
    dicom,
    directory,
    element,
    fragments,
    huge_jpeg,
    items,
    many,
    nested,
    overlapping,
    png,
    saved,
    scans,
    segment,
    tiff,
    tiles,
    webp,
    with_segments,
    zeros,
    zipped,
)


class Case(NamedTuple):
    """A file, and either what its refusal says or the pixels that are shown.

    What is costly may be refused for that even where it could be shown.
    """

    name: str
    build: Callable[[], bytes]
    says: str = ""  # a regular expression
    shows: np.ndarray = PICTURE
    tolerance: int = 8  # grey levels; lossy formats are off by some
    costly: bool = False


NO_IMAGE = "not an image in a known format"
DAMAGED = "damaged"
TOO_SMALL = "each side needs at least 32"
TOO_LARGE = "the limit is 64 megapixels|more than 64 megapixels"
TOO_COSTLY = "too long to decode|too much memory"
EITHER = f"{TOO_COSTLY}|{DAMAGED}"  # as the machine is slow or fast
HTML = b"<!doctype html><script>alert(document.cookie)</script>"
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"></svg>'
ORIENTED = {
    1: PICTURE,
    2: PICTURE[:, ::-1],
    3: PICTURE[::-1, ::-1],
    4: PICTURE[::-1],
    5: PICTURE.T,
    6: np.rot90(PICTURE, 1),
    7: PICTURE[::-1, ::-1].T,
    8: np.rot90(PICTURE, -1),
}


@functools.cache
def cases() -> tuple[Case, ...]:
    """The whole table; each file is built once, which takes seconds of some."""
    turned = [Case(f"EXIF orientation {n}", lambda n=n: oriented(n)) for n in range(1, 9)]
    parts = (NOT_IMAGES, truncated(), SIZES, KINDS, turned, METADATA, DISGUISED, COSTLY, DICOM)
    table = (case for part in parts for case in part)
    return tuple(case._replace(build=functools.cache(case.build)) for case in table)


NOT_IMAGES = [
    Case("no bytes at all", lambda: b"", "The file is empty"),
    Case("one byte", lambda: b"\xff", NO_IMAGE),
    Case("text", lambda: b"no image", NO_IMAGE),
    Case("HTML", lambda: HTML, NO_IMAGE),
    Case("SVG with a script", lambda: SVG, NO_IMAGE),
    Case("zip", zipped, NO_IMAGE),
    Case("pickle", lambda: pickle.dumps({"weights": [1.0]}), NO_IMAGE),
    Case("PostScript", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n", NO_IMAGE),
    Case("PDF", lambda: b"%PDF-1.7\n", NO_IMAGE),
    Case("ELF program", lambda: b"\x7fELF\2\1\1" + bytes(60), NO_IMAGE),
    Case("GIF", lambda: saved(PICTURE, "GIF"), NO_IMAGE),
    Case(
        "GIF of two frames of 200 megapixels",
        lambda: b"GIF89a" + struct.pack("<HH", 20_000, 10_000) + b"\x80\0\0" + bytes(6) + b"," * 2,
        NO_IMAGE,
    ),
    Case("JPEG 2000 file", lambda: saved(PICTURE, "JPEG2000"), NO_IMAGE),
    Case("HEIC", lambda: b"\0\0\0\x18ftypheic" + bytes(64), NO_IMAGE),
    Case("random bytes", lambda: np.random.default_rng(7).bytes(4096), NO_IMAGE),
]


def truncated() -> Iterator[Case]:
    """Every format cut in its signature, its header, its pixels and just before its end."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    whole = {kind: saved(noise, kind) for kind in ("JPEG", "PNG", "TIFF", "WEBP", "BMP")}
    whole["DICOM"] = dicom(pixels=noise.tobytes(), rows=64, columns=64)
    signatures = {"JPEG": 2, "PNG": 4, "TIFF": 3, "WEBP": 8, "BMP": 1, "DICOM": 130}
    headers = {"JPEG": 30, "PNG": 20, "TIFF": 8, "WEBP": 18, "BMP": 24, "DICOM": 250}
    for kind, data in whole.items():
        cuts = {
            "signature": signatures[kind],
            "header": headers[kind],
            "pixels": len(data) // 2,
            "end": len(data) - (20 if kind == "PNG" else 3),
        }
        for place, kept in cuts.items():
            # All of a PNG's pixels are there before its last checksums.
            says = "" if (kind, place) == ("PNG", "end") else f"{NO_IMAGE}|{DAMAGED}|no image"
            yield Case(f"{kind} cut in its {place}", lambda d=data, k=kept: d[:k], says, noise, 0)


SIZES = [
    Case("1 x 1 PNG", lambda: png(1, 1), TOO_SMALL),
    Case("1 x 1 JPEG", lambda: saved(Image.new("L", (1, 1)), "JPEG"), TOO_SMALL),
    Case("1 x 10,000", lambda: png(1, 10_000), TOO_SMALL),
    Case("10,000 x 1", lambda: png(10_000, 1), TOO_SMALL),
    Case("0 x 0 BMP", lambda: bmp(0, 0, b"\0\1"), f"{TOO_SMALL}|{NO_IMAGE}"),
    Case("32 x 10,000", lambda: png(32, 10_000), shows=np.zeros((10_000, 32), np.uint8)),
    Case("64 megapixels", lambda: png(8000, 8000), shows=np.zeros((8000, 8000), np.uint8)),
    Case("just over 64 megapixels", lambda: png(8001, 8000), TOO_LARGE),
    Case("200-megapixel PNG", lambda: png(20_000, 10_000), TOO_LARGE),
    Case("200-megapixel 16-bit RGBA PNG", lambda: png(20_000, 10_000, 16, 6), TOO_LARGE),
    Case("4-gigapixel PNG", lambda: png(2**16, 2**16), TOO_LARGE),
    Case("PNG of 2**31 - 1 columns", lambda: png(2**31 - 1, 32), TOO_LARGE),
    Case("200-megapixel JPEG", huge_jpeg, TOO_LARGE),
    Case("200-megapixel TIFF", lambda: tiff(width=20_000, height=10_000), TOO_LARGE),
    Case("200-megapixel WebP", lambda: webp(16_000, 12_500), f"{TOO_LARGE}|{DAMAGED}|{NO_IMAGE}"),
    Case("200-megapixel BMP", lambda: bmp(20_000, 10_000, b"\0\1"), TOO_LARGE),
    Case("BMP of negative size", lambda: bmp(-64, -64, b"\0\1"), TOO_LARGE),
]


def several(kind: str, **options: object) -> bytes:
    """`PICTURE` first, then its negative."""
    follows = [Image.fromarray(255 - PICTURE)]
    return saved(PICTURE, kind, save_all=True, append_images=follows, **options)


def floating(*odd: float) -> bytes:
    levels = PICTURE.astype(np.float32) * 3 - 1000
    levels[0, : len(odd)] = odd
    return saved(levels, "TIFF")


STRETCHED = np.rint(PICTURE / PICTURE.max() * 255)
NOT_A_NUMBER = STRETCHED.copy()
NOT_A_NUMBER[0, :3] = (0, 255, 0)
COLOUR = Image.fromarray(PICTURE).convert("RGB")
LEVELS = PICTURE.astype(np.uint16) * 16

KINDS = [
    Case("16-bit PNG", lambda: saved(LEVELS, "PNG"), shows=STRETCHED, tolerance=0),
    Case("16-bit TIFF", lambda: saved(LEVELS, "TIFF"), shows=STRETCHED, tolerance=0),
    Case("32-bit TIFF", lambda: saved(PICTURE.astype(np.int32), "TIFF"), shows=STRETCHED),
    Case("float TIFF", floating, shows=STRETCHED, tolerance=1),
    Case(
        "NaN and infinities",
        lambda: floating(np.nan, np.inf, -np.inf),
        shows=NOT_A_NUMBER,
        tolerance=1,
    ),
    Case(
        "nothing but NaN",
        lambda: saved(np.full((40, 60), np.nan, np.float32), "TIFF"),
        "holds no pixel values",
    ),
    Case(
        "one-bit PNG",
        lambda: saved(Image.fromarray(PICTURE > 99), "PNG"),
        shows=(PICTURE > 99) * 255,
    ),
    Case("CMYK JPEG", lambda: saved(COLOUR.convert("CMYK"), "JPEG", quality=95)),
    Case("CMYK TIFF", lambda: saved(COLOUR.convert("CMYK"), "TIFF")),
    Case("LAB TIFF", lambda: saved(Image.new("LAB", (60, 40)), "TIFF"), "LAB"),
    Case("RGB JPEG", lambda: saved(COLOUR, "JPEG", quality=95)),
    Case("palette PNG", lambda: saved(Image.fromarray(PICTURE).convert("P"), "PNG"), tolerance=0),
    Case(
        "palette with a transparent entry",
        lambda: saved(Image.fromarray(PICTURE).convert("P"), "PNG", transparency=120),
        shows=np.where(PICTURE == 120, 0, PICTURE),
    ),
    Case("palette TIFF", lambda: saved(Image.fromarray(PICTURE).convert("P"), "TIFF"), tolerance=0),
    Case("wholly transparent", lambda: saved(Image.new("LA", (60, 40)), "PNG"), shows=PICTURE * 0),
    Case("interlaced PNG", lambda: saved(PICTURE, "PNG", interlace=1), tolerance=0),
    Case("animated PNG", lambda: several("PNG"), tolerance=0),
    Case("animated WebP", lambda: several("WEBP", lossless=True), tolerance=2),
    Case("TIFF of two frames", lambda: several("TIFF"), tolerance=0),
    Case("stereo JPEG", lambda: several("MPO", quality=95)),
]


def oriented(number: int, kind: str = "JPEG") -> bytes:
    exif = Image.Exif()
    exif[0x0112] = number
    stored = np.ascontiguousarray(ORIENTED.get(number, PICTURE))
    return saved(stored, kind, exif=exif, quality=95)


METADATA = [
    Case("EXIF orientation 9", lambda: oriented(9)),
    Case("EXIF orientation 0", lambda: oriented(0)),
    Case("EXIF that is cut", lambda: with_segments(segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0\xff"))),
    Case(
        "EXIF whose directory follows itself",
        lambda: with_segments(segment(0xE1, b"Exif\0\0" + directory([], following=8))),
    ),
    Case(
        "EXIF with entries over one another",
        lambda: with_segments(segment(0xE1, b"Exif\0\0" + overlapping(2000, 30_000))),
    ),
    Case("PNG with a bomb for a profile", lambda: bomb(b"iCCP", b"p\0\0"), DAMAGED),
    Case("PNG with a bomb for a text", lambda: bomb(b"zTXt", b"t\0\0"), DAMAGED),
    Case("PNG with a bomb for a foreign text", lambda: bomb(b"iTXt", b"t\0\1\0\0\0"), DAMAGED),
    Case("PNG with a bad checksum", lambda: png()[:-5] + b"\0" * 5, shows=BLACK),
    Case("PNG with two headers", lambda: png(extra=png()[8:33]), shows=BLACK),
    Case("PNG whose animation wipes", lambda: png(extra=animation()), shows=BLACK),
    Case("animated PNG of two gigapixels", lambda: png(32, 2**26, extra=animation()), TOO_LARGE),
    Case(
        "the same behind a small header",
        lambda: png(extra=png(32, 2**26)[8:33] + animation()),
        TOO_LARGE,
    ),
    Case("TIFF whose directory follows itself", lambda: tiff(following=8), shows=BLACK),
    Case("TIFF of a million directories", lambda: tiff(bytes(1024) + chain()), shows=BLACK),
    Case("TIFF with no pixels", lambda: directory([(256, 4, 1, 64), (257, 4, 1, 64)]), NO_IMAGE),
]


DISGUISED = [
    Case("JPEG, then HTML", lambda: saved(PICTURE, "JPEG", quality=95) + HTML),
    Case("JPEG with HTML in a comment", lambda: with_segments(segment(0xFE, HTML))),
    Case("PNG, then zip", lambda: saved(PICTURE, "PNG") + zipped(), tolerance=0),
    Case("PNG with PHP in a text", lambda: png(extra=chunk(b"tEXt", b"a\0<?php ?>")), shows=BLACK),
    Case(
        "DICOM after a JPEG's head",
        lambda: dicom(preamble=saved(PICTURE, "JPEG")[:128]),
        shows=STRETCHED,
        tolerance=1,
    ),
    Case(
        "DICOM after a TIFF's head",
        lambda: dicom(preamble=tiff()[:128]),
        shows=STRETCHED,
        tolerance=1,
    ),
    Case("PNG's signature before a JPEG", lambda: SIGNATURE + saved(PICTURE, "JPEG"), NO_IMAGE),
]

# What takes minutes or gigabytes in a decoder that nobody stops.
COSTLY = [
    Case("progressive JPEG of 20,000 scans", lambda: scans(6000, 20_000), TOO_COSTLY),
    Case("JPEG with 8 MiB of filling", lambda: with_segments(b"\xff" * 2**23), costly=True),
    Case("JPEG of a million comments", lambda: with_segments(many(b"\xff\xfe\0\2")), costly=True),
    Case(
        "JPEG of 400,000 EXIF segments",
        lambda: with_segments(many(segment(0xE1, b"Exif\0\0"))),
        costly=True,
    ),
    Case(
        "PNG of 300,000 chunks",
        lambda: png(extra=many(chunk(b"prVt", b""))),
        shows=BLACK,
        costly=True,
    ),
    Case(
        "PNG of 300,000 texts",
        lambda: png(extra=many(chunk(b"tEXt", b"a\0b"))),
        shows=BLACK,
        costly=True,
    ),
    Case(
        "PNG whose EXIF has entries over one another",
        lambda: png(extra=chunk(b"eXIf", overlapping(2000, 2**21))),
        shows=BLACK,
        costly=True,
    ),
    Case("TIFF with entries over one another", lambda: overlapping(60_000, 2**19), TOO_COSTLY),
    Case("TIFF of 4 million tiles", lambda: tiles(4000, 2, bytes(4)), TOO_COSTLY),
    Case("TIFF with a tile of 3 gigabytes", lambda: tiles(32, 56_000, zeros(2**27), 8), DAMAGED),
    Case("BMP in runs of one pixel", lambda: bmp(7900, 7900, many(b"\1\7", 2**24)), EITHER),
]


BASELINE = b"1.2.840.10008.1.2.4.50"
DICOM = [
    Case("DICOM", dicom, shows=STRETCHED, tolerance=1),
    Case("DICOM of 4 gigapixels", lambda: dicom(rows=65_535, columns=65_535), TOO_LARGE),
    Case("DICOM of no rows", lambda: dicom(rows=0), TOO_SMALL),
    Case("DICOM of more rows than pixels", lambda: dicom(rows=8000, columns=8000), DAMAGED),
    Case("DICOM of 10**9 frames", lambda: dicom(frames=b"1000000000"), "several frames"),
    Case("DICOM of -1 frames", lambda: dicom(frames=b"-1"), shows=STRETCHED),
    Case("DICOM of 3 bits", lambda: dicom(bits=3), "has 3 bits a pixel"),
    Case("DICOM of 4 GB of pixels, it says", lambda: dicom(length=2**32 - 2), shows=STRETCHED),
    Case("DICOM with no pixels", lambda: dicom(pixels=b""), DAMAGED),
    Case("DICOM in palette colour", lambda: dicom(photometric=b"PALETTE COLOR "), "neither"),
    Case("DICOM, deflated", lambda: dicom(syntax=b"1.2.840.10008.1.2.1.99"), "deflated"),
    Case("DICOM of unknown syntax", lambda: dicom(syntax=b"<img src=x>\0"), "unknown method"),
    Case(
        "DICOM around a JPEG",
        lambda: dicom(
            pixels=fragments(saved(PICTURE, "JPEG", quality=95)), syntax=BASELINE, length=2**32 - 1
        ),
        shows=STRETCHED,
        tolerance=10,
    ),
    Case(
        "DICOM around a JPEG of 20,000 scans",
        lambda: dicom(
            pixels=fragments(scans(6000, 20_000)),
            rows=6000,
            columns=6000,
            syntax=BASELINE,
            length=2**32 - 1,
        ),
        TOO_COSTLY,
    ),
    Case("DICOM around nothing", lambda: dicom(pixels=fragments(), syntax=BASELINE), DAMAGED),
    Case("DICOM nested 5,000 deep", lambda: dicom(nested(5000)), f"{DAMAGED}|holds no image"),
    Case("DICOM of a million items", lambda: dicom(items(10**6)), TOO_COSTLY),
    Case(
        "DICOM with an element of 4 GB",
        lambda: dicom(element(8, 8, b"UT", b"a", 2**32 - 2)),
        "no image",
    ),
]

"""Image files that no honest program writes, byte by byte."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 40, 60
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def _picture() -> np.ndarray:
    """A ramp with a bright upper left corner: no two orientations of it look alike."""
    picture = np.tile(np.arange(WIDTH, dtype=np.uint8) * 2, (HEIGHT, 1))
    picture[:20, :30] += 120
    return picture


PICTURE = _picture()
BLACK = np.zeros((32, 32), np.uint8)


def saved(image: Image.Image | np.ndarray, kind: str, **options: Any) -> bytes:
    """An image as Pillow writes it."""
    buffer = io.BytesIO()
    found = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    found.save(buffer, kind, **options)
    return buffer.getvalue()


@cache
def zeros(count: int) -> bytes:
    """So many zeros, a thousand times smaller."""
    packer = zlib.compressobj(9)
    parts = [packer.compress(bytes(min(2**20, count - at))) for at in range(0, count, 2**20)]
    return b"".join(parts) + packer.flush()


def chunk(kind: bytes, body: bytes) -> bytes:
    """A PNG's chunk."""
    checksum = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + checksum


def png(
    width: int = 32, height: int = 32, depth: int = 8, colour: int = 0, extra: bytes = b""
) -> bytes:
    """A black PNG, with chunks before its pixels; `colour` 0 is grey, 2 is RGB, 6 is RGBA."""
    row = 1 + width * {0: 1, 2: 3, 6: 4}[colour] * depth // 8
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    pixels = zeros(row * height) if row * height < 2**29 else zeros(1024)
    parts = [chunk(b"IHDR", header), extra, chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    return SIGNATURE + b"".join(parts)


def with_segments(segments: bytes) -> bytes:
    """A JPEG of `PICTURE` with segments right after its first marker."""
    data = saved(PICTURE, "JPEG", quality=95)
    return data[:2] + segments + data[2:]


def segment(marker: int, body: bytes) -> bytes:
    """A JPEG's segment."""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def scans(side: int, count: int) -> bytes:
    """A black progressive JPEG whose last scan comes `count` times."""
    data = saved(Image.new("L", (side, side)), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + data[-2:]


Entry = tuple[int, int, int, int]  # tag, type (3: 16 bits, 4: 32 bits), count, value


def directory(entries: list[Entry], after: bytes = b"", following: int = 0) -> bytes:
    """A TIFF, or what EXIF is: one directory and what comes after it, at `8 + 6 + 12 n`."""
    head = b"II*\0" + struct.pack("<IH", 8, len(entries))
    listed = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return head + listed + struct.pack("<I", following) + after


def tiff(
    blob: bytes = bytes(1024), extra: list[Entry] | None = None, following: int = 0, **tags: int
) -> bytes:
    """A grey TIFF of one strip, 32 x 32 unless `tags` say otherwise, with further entries."""
    known = {"width": 256, "height": 257, "bits": 258, "compression": 259, "photometric": 262}
    values = {256: 32, 257: 32, 258: 8, 259: 1, 262: 1, 277: 1, 278: 32, 279: len(blob)}
    values |= {known[name]: value for name, value in tags.items()}
    extra = extra or []
    values[273] = 14 + 12 * (len(values) + 1 + len(extra))
    entries = [(tag, 4, 1, value) for tag, value in values.items()]
    return directory(entries + extra, blob, following)


def deep_tiff(
    levels: np.ndarray,
    photometric: int = 1,
    order: str = "<",
    packed: bool = False,
    planes: int = 1,
) -> bytes:
    """A TIFF of grey [height, width] or colour [height, width, n] in any byte order.

    `photometric` 0 says that white is zero; with `planes` 2, colours lie one after the other.
    """
    height, width, samples = *levels.shape[:2], levels.shape[2] if levels.ndim == 3 else 1
    stored = levels.astype(levels.dtype.newbyteorder(order))
    layers = [stored[..., n] for n in range(samples)] if planes == 2 else [stored]
    strips = [layer.tobytes() for layer in layers]
    if packed:
        strips = [zlib.compress(strip) for strip in strips]
    kind = {"u": 1, "i": 2, "f": 3}[levels.dtype.kind]
    starts = [8 + sum(map(len, strips[:n])) for n in range(len(strips))]
    values = {
        256: [width],
        257: [height],
        258: [8 * levels.itemsize] * samples,
        259: [8 if packed else 1],
        262: [photometric],
        273: starts,
        277: [samples],
        278: [height],
        279: [len(strip) for strip in strips],
        284: [planes],
        339: [kind] * samples,
    }
    after = 8 + sum(map(len, strips)) + 2 + 12 * len(values) + 4
    listed, beyond = struct.pack(order + "H", len(values)), b""
    for tag, several in values.items():
        body = struct.pack(f"{order}{len(several)}I", *several)
        if len(body) > 4:
            beyond += body
            body = struct.pack(order + "I", after + len(beyond) - len(body))
        listed += struct.pack(order + "HHI", tag, 4, len(several)) + body
    head = {"<": b"II*\0", ">": b"MM\0*"}[order]
    start = struct.pack(order + "I", 8 + sum(map(len, strips)))
    return head + start + b"".join(strips) + listed + bytes(4) + beyond


def deep_png(levels: np.ndarray, clear: bytes = b"") -> bytes:
    """A PNG of 16 bits a sample: grey and alpha [h, w, 2], RGB [h, w, 3] or RGBA [h, w, 4].

    Its rows are filtered in every way there is; `clear` is the colour that is transparent.
    """
    height, width, samples = levels.shape
    rows = levels.astype(">u2").reshape(height, -1).view(np.uint8).astype(int)
    before = np.zeros_like(rows[0])
    body = []
    for number, row in enumerate(rows):
        left, corner = (
            np.r_[np.zeros(2 * samples, int), one[: -2 * samples]] for one in (row, before)
        )
        # The Paeth predictor: whichever neighbour is nearest to left + above - corner.
        near = np.abs(np.stack([left, before, corner]) - (left + before - corner)).argmin(0)
        paeth = np.choose(near, [left, before, corner])
        guess = [0 * row, left, before, (left + before) // 2, paeth][number % 5]
        body.append(bytes([number % 5]) + ((row - guess) % 256).astype(np.uint8).tobytes())
        before = row
    header = struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[samples], 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"tRNS", clear) if clear else b""]
    parts += [chunk(b"IDAT", zlib.compress(b"".join(body))), chunk(b"IEND", b"")]
    return SIGNATURE + b"".join(parts)


def overlapping(entries: int, size: int) -> bytes:
    """A directory whose entries all claim the same bytes: entries x size in memory."""
    at = 14 + 12 * entries
    return directory([(1000 + n, 7, size, at) for n in range(entries)], bytes(size))


def tiles(side: int, tile: int, blob: bytes, compression: int = 1) -> bytes:
    """A square grey TIFF whose square tiles are all the same bytes."""
    count = max(1, side // tile) ** 2
    at = 14 + 12 * 10
    values = {256: side, 257: side, 258: 8, 259: compression, 262: 1, 277: 1, 322: tile, 323: tile}
    entries = [(tag, 4, 1, value) for tag, value in values.items()]
    if count == 1:
        return directory([*entries, (324, 4, 1, at), (325, 4, 1, len(blob))], blob)
    table = struct.pack("<I", at + 8 * count) * count + struct.pack("<I", len(blob)) * count
    return directory([*entries, (324, 4, count, at), (325, 4, count, at + 4 * count)], table + blob)


def bmp(width: int, height: int, run_lengths: bytes) -> bytes:
    """A run-length encoded BMP."""
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(run_lengths), 0, 0, 256, 0)
    palette = b"".join(bytes([level, level, level, 0]) for level in range(256))
    at = 14 + len(header) + len(palette)
    return (
        struct.pack("<2sIII", b"BM", at + len(run_lengths), 0, at) + header + palette + run_lengths
    )


def webp(width: int, height: int) -> bytes:
    """The header of an extended WebP of this size, and nothing else."""
    sizes = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    body = b"WEBPVP8X" + struct.pack("<II", 10, 0) + sizes
    return b"RIFF" + struct.pack("<I", len(body)) + body


def element(group: int, number: int, kind: bytes, value: bytes, length: int | None = None) -> bytes:
    """A DICOM element in explicit little endian; `length` is what it says of itself."""
    head = struct.pack("<HH2s", group, number, kind)
    size = len(value) if length is None else length
    long = kind in (b"OB", b"OW", b"SQ", b"UN", b"UT")
    return head + struct.pack("<HI" if long else "<H", *((0, size) if long else (size,))) + value


def dicom(
    before: bytes = b"",
    pixels: bytes | None = None,
    *,
    preamble: bytes = bytes(128),
    syntax: bytes = b"1.2.840.10008.1.2.1\0",
    photometric: bytes = b"MONOCHROME2 ",
    rows: int = HEIGHT,
    columns: int = WIDTH,
    bits: int = 8,
    length: int | None = None,
    frames: bytes = b"",
) -> bytes:
    """A DICOM file of `PICTURE`, with elements before its image's and with lies about it."""

    def number(value: int) -> bytes:
        return struct.pack("<H", value)

    meta = element(2, 0x10, b"UI", syntax)
    content = PICTURE.tobytes() if pixels is None else pixels
    return b"".join(
        [
            preamble + b"DICM",
            element(2, 0, b"UL", struct.pack("<I", len(meta))) + meta,
            before,
            element(0x28, 2, b"US", number(1)),
            element(0x28, 4, b"CS", photometric),
            element(0x28, 8, b"IS", frames) if frames else b"",
            element(0x28, 0x10, b"US", number(rows)),
            element(0x28, 0x11, b"US", number(columns)),
            element(0x28, 0x100, b"US", number(bits)),
            element(0x28, 0x101, b"US", number(bits)),
            element(0x28, 0x102, b"US", number(bits - 1)),
            element(0x28, 0x103, b"US", number(0)),
            element(0x7FE0, 0x10, b"OB", content, length),
        ]
    )


def animation(side: int = 32) -> bytes:
    """Chunks that make a PNG the first of two frames, to be wiped after it was shown."""
    frame = struct.pack(">IIIIIHHBB", 0, side, side, 0, 0, 0, 0, 1, 0)
    return chunk(b"acTL", struct.pack(">II", 2, 0)) + chunk(b"fcTL", frame)


def bomb(kind: bytes, head: bytes) -> bytes:
    """A PNG with a chunk that unpacks to a gigabyte."""
    return png(extra=chunk(kind, head + zeros(2**30)))


def chain() -> bytes:
    """A million empty directories, each pointing to the next."""
    start = 8 + 6 + 12 * 9 + 1024
    return b"".join(struct.pack("<HI", 0, start + 6 * n) for n in range(1, 10**6))


def zipped() -> bytes:
    """A zip archive that wants out of its folder."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../../app.py", "raise SystemExit")
    return buffer.getvalue()


def huge_jpeg() -> bytes:
    """A JPEG of `PICTURE` whose header says 20,000 x 10,000."""
    data = saved(PICTURE, "JPEG")
    return data.replace(struct.pack(">HH", 40, 60), struct.pack(">HH", 10_000, 20_000), 1)


def many(part: bytes, size: int = 2**22) -> bytes:
    """One part over and over."""
    return part * (size // len(part))


def items(count: int) -> bytes:
    """An undefined-length sequence of empty items."""
    item = struct.pack("<HHIHHI", 0xFFFE, 0xE000, 2**32 - 1, 0xFFFE, 0xE00D, 0)
    end = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    return element(8, 0x1140, b"SQ", item * count + end, 2**32 - 1)


def nested(depth: int) -> bytes:
    """Sequences within sequences, none of which ends."""
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 2**32 - 1)
    return (element(8, 0x1140, b"SQ", b"", 2**32 - 1) + item) * depth


def fragments(*parts: bytes) -> bytes:
    """Encapsulated pixel data."""
    listed = [struct.pack("<HHI", 0xFFFE, 0xE000, len(part)) + part for part in (b"", *parts)]
    return b"".join(listed) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)

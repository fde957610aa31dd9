"""Coverage-guided fuzzing of the image decoder, and of what reads its result.

    pip install atheris
    python -m tests.fuzz.decoder CORPUS -max_total_time=2400 -max_len=16384 -rss_limit_mb=2048

CORPUS is a folder, filled with seeds where empty, or a file to run again; the options are
libFuzzer's. Any file must decode or raise ImageError, with a message that holds nothing of it.
"""

from __future__ import annotations

import struct
import sys
import warnings
import zlib

import atheris

with atheris.instrument_imports(include=["PIL", "pydicom", "fedmed"]):
    import pydicom.pixels  # noqa: F401
    from PIL import (  # noqa: F401
        BmpImagePlugin,
        JpegImagePlugin,
        PngImagePlugin,
        TiffImagePlugin,
        WebPImagePlugin,
    )

    from fedmed.errors import ImageError
    from fedmed.imaging.decode import decode_with_colour
    from fedmed.imaging.preprocessing import to_pixels

from tests.fuzz import seeds

PNG = b"\x89PNG\r\n\x1a\n"


def one(data: bytes) -> None:
    """What a visitor's upload goes through, up to the network."""
    try:
        image, colour = decode_with_colour(data)
    except ImageError as error:
        message = str(error)
        assert (
            message.endswith("Accepted: JPEG, PNG, DICOM, TIFF, BMP or WebP.")
            and message.isprintable()
        ), message
        assert not set("<>&\"'") & set(message.replace("'t ", " ").replace("'s ", " ")), message
        return
    assert image.mode == "L" and min(image.size) >= 32
    assert to_pixels(image).shape == (224, 224)
    assert 0 <= colour <= 255


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """libFuzzer's mutation, with a PNG's checksums set right: else nothing is read beyond one."""
    data = atheris.Mutate(data, max_size)
    if not data.startswith(PNG):
        return data
    parts, place = [PNG], len(PNG)
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        body = data[place + 4 : place + 8 + min(length, len(data))]
        parts += [data[place : place + 4], body, struct.pack(">I", zlib.crc32(body))]
        place += 12 + length
    return b"".join(parts)[:max_size]


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if len(sys.argv) > 1:
        seeds.fill(sys.argv[1], seeds.images())
    atheris.Setup(sys.argv, one, custom_mutator=mutate)
    atheris.Fuzz()

"""TIFF files of more than 8 bits: white as zero, either byte order, compressed or not."""

from __future__ import annotations

import numpy as np
import pytest

from fedmed.errors import ImageError
from fedmed.imaging.decode import decode
from tests.support.image_bytes import deep_tiff

RAMP = np.tile(np.arange(0, 4096, 64, dtype=np.uint16), (40, 1))
SHOWN = np.rint(RAMP / 4032 * 255)
DEEP = {
    "16 bits": RAMP,
    "signed 16 bits": RAMP.astype(np.int16) - 2048,
    "signed 32 bits": RAMP.astype(np.int32) * 1000 - 5000,
    "floating point": RAMP.astype(np.float32) / 1000 - 1,
}


@pytest.mark.parametrize("levels", DEEP.values(), ids=DEEP)
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("packed", [False, True])
def test_white_is_zero_where_the_file_says_so(levels, order: str, packed: bool) -> None:
    for photometric, wanted in ((1, SHOWN), (0, 255 - SHOWN)):
        data = deep_tiff(levels, photometric, order, packed)
        assert np.abs(np.asarray(decode(data)) - wanted).max() <= 1


@pytest.mark.parametrize("packed", [False, True])
def test_deep_colour_in_separate_planes_is_refused_and_not_garbled(packed: bool) -> None:
    colours = np.repeat(RAMP[..., None], 3, 2)
    with pytest.raises(ImageError, match=r"separate planes.*16-bit greyscale"):
        decode(deep_tiff(colours, 2, packed=packed, planes=2))


def test_eight_bits_in_separate_planes_are_read() -> None:
    grey = (RAMP // 16).astype(np.uint8)
    shown = decode(deep_tiff(np.repeat(grey[..., None], 3, 2), 2, planes=2))
    assert np.array_equal(np.asarray(shown), grey)

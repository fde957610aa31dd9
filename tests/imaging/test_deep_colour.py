"""16-bit colour keeps all its levels, in PNG and in TIFF."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from fedmed.imaging.decode import decode
from tests.support.image_bytes import deep_png, deep_tiff

RAMP = np.tile(np.arange(4096, dtype=np.uint16), (40, 1))
SHOWN = np.rint(RAMP / 4095 * 255)
OPAQUE = np.full_like(RAMP, 65535)


def shown(data: bytes) -> np.ndarray:
    return np.asarray(decode(data)).astype(int)


@pytest.mark.parametrize("channels", [[RAMP] * 3, [RAMP] * 3 + [OPAQUE], [RAMP, OPAQUE]])
@pytest.mark.parametrize("factor", [1, 16])
def test_a_film_in_a_16_bit_png_keeps_its_levels(channels, factor: int) -> None:
    levels = np.stack(channels, 2) * np.array([factor] * len(channels), np.uint16)
    if channels[-1] is OPAQUE:
        levels[..., -1] = 65535
    assert np.abs(shown(deep_png(levels)) - SHOWN).max() <= 1


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("factor", [1, 16])
def test_a_film_in_a_16_bit_tiff_keeps_its_levels(order: str, packed: bool, factor: int) -> None:
    levels = np.repeat(RAMP[..., None] * np.uint16(factor), 3, 2)
    assert np.abs(shown(deep_tiff(levels, 2, order, packed)) - SHOWN).max() <= 1


def test_colours_have_the_weights_that_8_bits_have() -> None:
    colours = np.stack([RAMP, RAMP[::-1, ::-1], np.roll(RAMP, 999, 1)], 2)
    grey = colours @ np.array([0.299, 0.587, 0.114])
    wanted = (grey - grey.min()) / np.ptp(grey) * 255
    assert np.abs(shown(deep_png(colours)) - wanted).max() <= 1


def test_what_is_transparent_is_black() -> None:
    alpha = OPAQUE.copy()
    alpha[:20] = 0
    for channels in ([RAMP, alpha], [RAMP, RAMP, RAMP, alpha]):
        found = shown(deep_png(np.stack(channels, 2)))
        assert not found[:20].any()
        assert np.abs(found[20:] - SHOWN[20:]).max() <= 1
    clear = struct.pack(">HHH", 4095, 4095, 4095)
    found = shown(deep_png(np.stack([RAMP] * 3, 2), clear))
    assert not found[:, -1].any() and found[:, -2].all()

"""The range of a film, with and without a marker burnt in."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from fedmed.imaging.decode import decode
from fedmed.imaging.levels import film_range, to_8_bits

FILM = np.arange(4096, dtype=np.uint16).reshape(64, 64)
SHOWN = np.rint(FILM / 4095 * 255)
MARKER = np.s_[:4, :40]  # 4 % of the film


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_burnt_in_marker_does_not_darken_the_film(kind: str) -> None:
    levels = FILM.copy()
    levels[MARKER] = 65535
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, kind)
    shown = np.asarray(decode(buffer.getvalue())).astype(int)
    assert (shown[MARKER] == 255).all()
    rest = levels < 65535
    assert np.abs(shown - SHOWN)[rest].max() <= 5  # the darkest levels lie under the marker


def test_a_marker_may_be_dark_and_of_several_levels() -> None:
    levels = FILM.astype(np.int32) + 50_000
    levels[MARKER] = np.arange(160).reshape(4, 40)
    shown = to_8_bits(levels)
    assert not shown[MARKER].any()
    assert np.ptp(shown[8:]) > 200


def test_one_bad_pixel_of_a_large_film_is_left_out_though_no_sample_has_it() -> None:
    levels = np.tile(FILM, (24, 24))
    levels[777, 778] = 65535
    shown = to_8_bits(levels)
    assert shown[777, 778] == 255
    assert np.abs(shown[:64, :64] - SHOWN).max() <= 1


def test_what_is_no_marker_keeps_its_place_in_the_range() -> None:
    many, near = FILM.copy(), FILM.copy()
    many[:8] = 65535  # 12 %
    near[MARKER] = 8000
    assert to_8_bits(many)[8:].max() <= 16
    assert 120 < np.median(to_8_bits(near)[-1]) < 135
    assert film_range(np.array([0, 65535]), np.array([4095, 1])) == (0, 65535)


def test_the_range_counts_pixels_and_not_levels() -> None:
    levels = np.array([5, 3, 4, 900, 7])
    assert film_range(levels, np.array([9, 9, 9, 1, 0])) == (3, 5)
    assert film_range(levels, np.array([9, 9, 9, 9, 0])) == (3, 900)

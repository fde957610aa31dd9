"""Each shift does to an X-ray what its name says, and nothing is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from fedmed.imaging.augmentation import View, render
from fedmed.imaging.shifts import SHIFTS, shift_pixels

MIDDLE = 111.5


def shifted(name: str, pixels: np.ndarray) -> np.ndarray:
    """One image [224, 224] after a shift, as floats."""
    return shift_pixels(list(SHIFTS).index(name), pixels[None])[0].astype(float)


def ramp() -> np.ndarray:
    return np.tile(np.linspace(20, 235, 224).astype(np.uint8), (224, 1))


def square(x: int, y: int) -> np.ndarray:
    pixels = np.zeros((224, 224), np.uint8)
    pixels[y - 3 : y + 4, x - 3 : x + 4] = 255
    return pixels


def place_of(image: np.ndarray) -> tuple[float, float]:
    """The centre of brightness (x, y) about the middle."""
    weights = image / image.sum()
    steps = np.arange(224) - MIDDLE
    return float(weights.sum(0) @ steps), float(weights.sum(1) @ steps)


@pytest.mark.parametrize("name", SHIFTS)
def test_shape_and_kind_stay_and_the_same_pixels_give_the_same(name: str) -> None:
    number = list(SHIFTS).index(name)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 224, 224), np.uint8)
    out = shift_pixels(number, pixels)
    assert (out.shape, out.dtype) == ((2, 224, 224), np.uint8)
    assert np.array_equal(out, np.concatenate([shift_pixels(number, one[None]) for one in pixels]))
    assert not np.array_equal(out, pixels)
    again = render(View("shifted", number, seed=7), pixels, ["0" * 64] * 2)
    assert np.array_equal(np.rint(again[:, 0].numpy() * 255), out)


@pytest.mark.parametrize(
    ("name", "across", "down"),
    [
        ("rows cut", 1, 224 / 184),
        ("columns cut", 224 / 184, 1),
        ("framed closer", 224 / 200, 224 / 200),
        ("framed much closer", 224 / 176, 224 / 176),
    ],
)
def test_cutting_moves_what_is_left_outwards(name: str, across: float, down: float) -> None:
    before, after = place_of(square(150, 140)), place_of(shifted(name, square(150, 140)))
    assert after == pytest.approx((across * before[0], down * before[1]), abs=0.2)


def test_sharpness_goes_down_and_up() -> None:
    edge = np.where(np.arange(224) < 112, 80, 160).astype(np.uint8) * np.ones((224, 1), np.uint8)
    steepest = {
        name: np.abs(np.diff(shifted(name, edge)[100])).max()
        for name in ("blurred", "coarse", "sharpened")
    }
    assert steepest["blurred"] < 30 and steepest["coarse"] < 50
    assert steepest["sharpened"] > 100
    flat = np.full((224, 224), 90, np.uint8)
    assert all((shifted(name, flat) == 90).all() for name in steepest)


@pytest.mark.parametrize(("name", "factor"), [("less contrast", 0.65), ("more contrast", 1.4)])
def test_contrast_turns_about_mid_grey(name: str, factor: float) -> None:
    expected = np.clip((ramp() - 127.5) * factor + 127.5, 0, 255)
    assert np.abs(shifted(name, ramp()) - expected).max() <= 0.5


def test_all_at_once_turns_cuts_and_pales() -> None:
    out = shifted("turned, closer, paler, compressed", square(180, 112))
    x, y = place_of(np.where(out > 100, out, 0))
    assert np.hypot(x, y) == pytest.approx(224 / 192 * (180 - MIDDLE), abs=1.5)
    assert abs(np.degrees(np.arctan2(y, x))) == pytest.approx(7, abs=0.7)
    for grey in (0, 128, 255):
        flat = np.full((224, 224), grey, np.uint8)
        level = shifted("turned, closer, paler, compressed", flat)[112, 112]
        assert level == pytest.approx(255 * (0.85 * (grey / 255) ** 1.3 + 0.05), abs=1)


def test_all_at_once_the_other_way_frames_in_black() -> None:
    out = shifted("wider, more contrast, sharpened", np.full((224, 224), 200, np.uint8))
    assert out[:14].max() == out[:, -14:].max() == 0
    assert out[112, 112] == pytest.approx((200 - 127.5) * 1.3 + 127.5, abs=1)

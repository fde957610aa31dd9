"""Frames of viewers and screenshots are cut off, and a film's own dark margins are not."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from fedmed.imaging.frame import without_frame
from tests.support.toy_films import films

FILM = Image.fromarray(films(1, 3)[0]).resize((600, 500))


def framed(left: int, top: int, right: int, bottom: int, shade: int = 0) -> Image.Image:
    screen = Image.new("L", (600 + left + right, 500 + top + bottom), shade)
    screen.paste(FILM, (left, top))
    return screen


@pytest.mark.parametrize("shade", [0, 30, 255])
@pytest.mark.parametrize(
    "widths", [(100, 60, 100, 60), (300, 0, 280, 0), (0, 40, 0, 40), (0, 0, 90, 0)]
)
def test_a_plain_frame_is_cut_off(widths: tuple[int, int, int, int], shade: int) -> None:
    found = without_frame(framed(*widths, shade=shade))
    assert found is not None
    assert np.array_equal(np.asarray(found), np.asarray(FILM))


def test_a_viewer_s_text_goes_with_the_frame() -> None:
    screen = framed(340, 60, 340, 60)
    draw, font = ImageDraw.Draw(screen), ImageFont.load_default(16)
    for row, line in enumerate(("DOE^JOHN", "M 5Y", "CHEST PA", "W: 2048 L: 1024")):
        draw.text((12, 12 + 22 * row), line, fill=255, font=font)
    found = without_frame(screen)
    assert found is not None and np.array_equal(np.asarray(found), np.asarray(FILM))


def test_a_frame_in_a_frame_is_cut_off_too() -> None:
    page = Image.new("L", (1400, 900), 255)
    page.paste(framed(80, 50, 80, 50), (300, 100))
    found = without_frame(page)
    assert found is not None and found.size == FILM.size


def test_jpeg_leaves_the_frame_nearly_plain() -> None:
    noise = np.random.default_rng(0).integers(-3, 4, (620, 800))
    screen = np.asarray(framed(100, 60, 100, 60, 20)).astype(int) + noise
    found = without_frame(Image.fromarray(np.clip(screen, 0, 255).astype(np.uint8)))
    assert found is not None and found.size == FILM.size


def test_a_film_s_own_dark_margin_stays() -> None:
    """Black beside the arms, which ends where the body's outline happens to be."""
    y, x = np.mgrid[0:500, 0:600]
    outline = 60 + 50 * np.sin(y / 60)
    body = np.where((x > outline) & (x < 600 - outline), np.asarray(FILM), 0)
    assert without_frame(Image.fromarray(body.astype(np.uint8))) is None


@pytest.mark.parametrize(
    "picture",
    [
        FILM,
        framed(8, 8, 8, 8),
        framed(0, 0, 0, 0).point(lambda _: 0),
        Image.new("L", (500, 500), 255),
        Image.new("L", (32, 32)),
    ],
    ids=["no frame", "a narrow one", "black", "white", "small"],
)
def test_nothing_is_cut_where_there_is_no_frame(picture: Image.Image) -> None:
    assert without_frame(picture) is None


@pytest.mark.slow
def test_where_little_would_be_left_nothing_is_cut() -> None:
    assert without_frame(framed(2000, 1500, 2000, 1500)) is None


def test_a_frame_of_middle_grey_is_not_taken_for_one() -> None:
    assert without_frame(framed(100, 60, 100, 60, 128)) is None

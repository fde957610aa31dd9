"""A tint is undone where a picture is grey in substance, and a photograph's colours are told."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from fedmed.imaging import tint
from fedmed.imaging.decode import decode, decode_with_colour
from tests.support.dicom_files import pixels, radiograph
from tests.support.toy_films import films

FILM = films(1, 3)[0]
TINTS = {  # darkest and brightest colour
    "blue base": ((10, 20, 60), (170, 200, 255)),
    "light box": ((30, 20, 5), (255, 240, 190)),
    "green screen": ((0, 0, 0), (20, 255, 30)),
}


def tinted(low: tuple[int, ...], high: tuple[int, ...]) -> np.ndarray:
    share = FILM[..., None] / 255
    return np.rint(np.array(low) + share * (np.array(high) - low)).astype(np.uint8)


def saved(colours: np.ndarray, kind: str = "PNG") -> bytes:
    buffer = BytesIO()
    Image.fromarray(colours).save(buffer, kind, quality=90)
    return buffer.getvalue()


def colour_picture() -> np.ndarray:
    """Patches of all colours, as no film has them."""
    patches = np.random.default_rng(3).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    return patches.repeat(40, 0).repeat(40, 1)


def likeness(grey: Image.Image) -> float:
    """How well levels follow the film's, whatever black and white are."""
    return float(np.corrcoef(np.asarray(grey).ravel(), FILM.ravel())[0, 1])


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("colours", TINTS.values(), ids=TINTS)
def test_a_tinted_film_is_the_film(colours: tuple[tuple[int, ...], ...], kind: str) -> None:
    found = decode_with_colour(saved(tinted(*colours), kind))
    assert found.colour < tint.COLOURED / 2
    assert likeness(found.image) > 0.995
    # And has the contrast of the channel with most of it.
    levels, strongest = np.asarray(found.image), max(b - a for a, b in zip(*colours, strict=True))
    assert np.ptp(np.percentile(levels, (2, 98))) > 0.95 * strongest / 255 * np.ptp(
        np.percentile(FILM, (2, 98))
    )


def test_a_tinted_film_as_dicom_is_the_film() -> None:
    colours = tinted(*TINTS["blue base"])
    dataset = radiograph(
        colours, 8, SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0
    )
    assert np.array_equal(pixels(dataset), np.asarray(decode(saved(colours))))


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_colour_picture_is_colourful_and_made_grey_as_ever(kind: str) -> None:
    data = saved(colour_picture(), kind)
    found = decode_with_colour(data)
    assert found.colour > 2 * tint.COLOURED
    plain = Image.open(BytesIO(data)).convert("L")
    assert np.array_equal(np.asarray(found.image), np.asarray(plain))


@pytest.mark.parametrize("mode", ["P", "RGBA"])
def test_a_palette_or_transparency_makes_no_difference(mode: str) -> None:
    buffer = BytesIO()
    Image.fromarray(colour_picture()).convert(mode).save(buffer, "PNG")
    assert decode_with_colour(buffer.getvalue()).colour > 2 * tint.COLOURED


@pytest.mark.parametrize(
    ("kind", "mode"), [("JPEG", "L"), ("JPEG", "RGB"), ("PNG", "LA"), ("PNG", "I;16"), ("PNG", "1")]
)
def test_a_grey_film_stays_as_it_is_whatever_it_is_saved_as(kind: str, mode: str) -> None:
    film = Image.fromarray(FILM)
    film = film.convert("I").convert(mode) if mode == "I;16" else film.convert(mode)
    buffer = BytesIO()
    film.save(buffer, kind)
    found = decode_with_colour(buffer.getvalue())
    assert found.colour < tint.COLOURED / 4
    if mode in ("L", "RGB"):
        plain = Image.open(BytesIO(buffer.getvalue())).convert("L")
        assert np.array_equal(np.asarray(found.image), np.asarray(plain))


def test_a_coloured_marker_does_not_make_a_film_colourful() -> None:
    film = Image.fromarray(FILM).convert("RGB")
    film.paste((230, 30, 30), (10, 10, 40, 30))
    assert decode_with_colour(saved(np.asarray(film))).colour < tint.COLOURED


def test_one_single_colour_has_no_tint_to_undo() -> None:
    found = decode_with_colour(saved(np.full((64, 64, 3), (200, 80, 40), np.uint8)))
    assert found.colour == pytest.approx(0, abs=1e-3)
    assert np.ptp(np.asarray(found.image)) == 0

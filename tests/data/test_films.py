"""Films that came out flat, inverted or clipped."""

from __future__ import annotations

import numpy as np
import pytest

from fedmed.data import films
from fedmed.simulation import simulate


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.stack([simulate(n, n % 2).pixels for n in range(24)])


def judged(pixels: np.ndarray) -> dict[str, object]:
    names = [f"{n:02d}" for n in range(len(pixels))]
    return films.judge(names, films.measure(pixels))


@pytest.mark.slow
def test_sound_films_are_none_of_these(pixels: np.ndarray) -> None:
    kinds = {"nearly_constant": [], "inverted": [], "clipped": []}
    assert judged(pixels) == {"looked_at": 24, **kinds}


def test_each_kind_is_found_by_name(pixels: np.ndarray) -> None:
    wrong = pixels.copy()
    wrong[3] = 120 + pixels[3] // 32
    wrong[7] = 255 - pixels[7]
    wrong[11] = np.clip((pixels[11].astype(int) - np.median(pixels[11])) * 30, 0, 255)
    found = judged(wrong)
    assert found["nearly_constant"] == ["03"]
    assert found["inverted"] == ["07"]
    assert found["clipped"] == ["11"]
    told = films.words(found)
    assert told[1] == "Trouble: 1 films are inverted against the others: 07."


def test_what_is_measured_does_not_depend_on_the_others(pixels: np.ndarray) -> None:
    rows = films.measure(pixels)
    assert rows.shape == (24, films.WIDTH) and rows.dtype == np.float32
    assert np.array_equal(films.measure(pixels[5:6])[0], rows[5])


def test_a_few_films_have_no_siblings(pixels: np.ndarray) -> None:
    few = pixels[:5].copy()
    few[0] = 255 - few[0]
    assert judged(few)["inverted"] == []

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from fedmed.simulation import Radiograph, simulate
from fedmed.simulation.__main__ import sheet

PATIENTS = range(24)


@pytest.fixture(scope="module")
def pairs() -> list[tuple[Radiograph, Radiograph]]:
    return [(simulate(p, 0, seed=3, size=112), simulate(p, 1, seed=3, size=112)) for p in PATIENTS]


def test_a_film_is_eight_bit_and_square() -> None:
    film = simulate(7, 1, size=96)
    assert film.pixels.shape == film.opacity.shape == (96, 96)
    assert film.pixels.dtype == np.uint8
    assert film.opacity.dtype == bool
    assert (film.label, film.patient) == (1, "sim-000007")


def test_the_same_arguments_give_the_same_film_in_another_process() -> None:
    code = (
        "import sys; from fedmed.simulation import simulate;"
        "sys.stdout.buffer.write(simulate(5, 1, seed=2, size=64).pixels.tobytes())"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert other.stdout == simulate(5, 1, seed=2, size=64).pixels.tobytes()


def test_patients_and_seeds_differ() -> None:
    films = [simulate(p, 0, seed=s, size=64).pixels for p, s in ((0, 0), (1, 0), (0, 1))]
    assert not np.array_equal(films[0], films[1])
    assert not np.array_equal(films[0], films[2])


def test_the_mask_is_empty_only_for_the_healthy(pairs: list[tuple[Radiograph, Radiograph]]) -> None:
    for healthy, ill in pairs:
        assert healthy.kind == "clear" and not healthy.opacity.any()
        assert ill.kind != "clear" and 0.004 < ill.opacity.mean() < 0.5
    assert {ill.kind for _, ill in pairs} == {"consolidation", "patchy", "interstitial"}


def test_opacities_are_brighter_than_the_same_child_without(
    pairs: list[tuple[Radiograph, Radiograph]],
) -> None:
    for healthy, ill in pairs:
        change = ill.pixels.astype(float) - healthy.pixels
        assert change[ill.opacity].mean() > 4
        assert change[ill.opacity].mean() > 3 * abs(change[~ill.opacity].mean())


def test_nothing_outside_the_chest_tells_the_label(
    pairs: list[tuple[Radiograph, Radiograph]],
) -> None:
    for healthy, ill in pairs:
        border = np.ones(ill.pixels.shape, bool)
        border[6:-6, 6:-6] = False
        change = ill.pixels[border].astype(float) - healthy.pixels[border]
        assert abs(change.mean()) < 1.0
        assert np.abs(change).mean() < 1.5


def test_a_large_film_shows_the_same_child() -> None:
    small = simulate(4, 1, size=128)
    large = simulate(4, 1, size=512)
    shrunk = Image.fromarray(large.pixels).resize((128, 128), Image.Resampling.BOX)
    assert np.corrcoef(np.asarray(shrunk).ravel(), small.pixels.ravel())[0, 1] > 0.98
    assert abs(large.opacity.mean() - small.opacity.mean()) < 0.01


def test_films_span_the_greys(pairs: list[tuple[Radiograph, Radiograph]]) -> None:
    for healthy, _ in pairs:
        low, high = np.percentile(healthy.pixels, [5, 95])
        assert high - low > 80


def test_an_unknown_label_is_refused() -> None:
    with pytest.raises(ValueError, match="label"):
        simulate(0, 2)


def test_the_contact_sheet_holds_every_film() -> None:
    page = sheet(5, seed=1, size=64, columns=3)
    assert page.size == (192, 24 + 2 * 80)

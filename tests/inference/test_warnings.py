"""What is said of pictures that the models cannot judge, on toy films."""

from __future__ import annotations

import numpy as np
import pytest

from fedmed.inference import out_of_distribution, views
from fedmed.inference.warnings import (
    IN_COLOUR,
    NOT_FRONTAL,
    ON_ITS_SIDE,
    ONE_SHADE,
    UNLIKE,
    UPSIDE_DOWN,
    Known,
    warnings,
)
from tests.support.toy_films import features, films

POINT = features(1, 3)[0]


def sides(count: int, seed: int) -> np.ndarray:
    """What stands for laterals: one dark lung, that fills the chest."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[-1:1:224j, -1:1:224j]
    lung = np.exp(-((x / 0.6) ** 4) - ((y + 0.1) / 0.7) ** 4)
    shade = generator.uniform(60, 120, (count, 1, 1))
    return np.clip(180 + 25 * y - shade * lung, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Known:
    folder = tmp_path_factory.mktemp("known")
    made = out_of_distribution.fit(features(900, 1), features(400, 2), films(150, 1), films(60, 2))
    out_of_distribution.save(made, folder)
    views.save(views.fit(films(60, 1), films(60, 2), films(0, 0), sides(30, 1)), folder)
    return Known(out_of_distribution.find(folder), views.find(folder))


def turned(how: str) -> np.ndarray:
    film = films(1, 3)[0]
    changed = {
        "upside down": film[::-1],
        "by half a turn": film[::-1, ::-1],
        "to the left": np.rot90(film),
        "to the right": np.rot90(film, 3),
    }
    return np.ascontiguousarray(changed[how])


def test_an_upright_film_passes(known: Known) -> None:
    assert [warnings(film, POINT, known) for film in films(20, 3)].count([]) >= 19


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("upside down", UPSIDE_DOWN),
        ("by half a turn", UPSIDE_DOWN),
        ("to the left", ON_ITS_SIDE),
        ("to the right", ON_ITS_SIDE),
    ],
)
def test_a_film_the_wrong_way_round_is_told_how(known: Known, how: str, said: str) -> None:
    assert warnings(turned(how), POINT, known) == [said]


def test_a_lateral_is_told(known: Known) -> None:
    assert warnings(sides(1, 9)[0], POINT, known) == [NOT_FRONTAL]


def test_what_is_no_chest_is_not_said_to_be_one_upside_down(known: Known) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (224, 224)).astype(np.uint8)
    (said,) = warnings(noise, POINT, known)
    assert said in (UNLIKE, NOT_FRONTAL)


def test_what_the_network_never_saw_is_told(known: Known) -> None:
    assert warnings(films(1, 3)[0], POINT * 0 + 5, known) == [UNLIKE]


def test_colour_is_told_first_and_one_shade_alone(known: Known) -> None:
    film = films(1, 3)[0]
    assert warnings(film, POINT, known, colour=60) == [IN_COLOUR]
    assert warnings(turned("upside down"), POINT, known, colour=60)[0] == IN_COLOUR
    assert warnings(film // 64 + 100, POINT, known, colour=60) == [ONE_SHADE]


def test_without_statistics_only_the_pixels_are_judged() -> None:
    film = films(1, 3)[0]
    assert warnings(turned("upside down"), POINT * 0 + 5, Known()) == []
    assert warnings(film, POINT, Known(), colour=60) == [IN_COLOUR]
    assert warnings(film * 0, POINT, Known()) == [ONE_SHADE]


def test_a_snapshot_made_before_views_were_told_warns_all_the_same(known: Known) -> None:
    assert warnings(turned("upside down"), POINT, Known(known.statistics)) == [UNLIKE]

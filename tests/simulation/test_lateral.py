from __future__ import annotations

import numpy as np

from fedmed.simulation import simulate
from fedmed.simulation.lateral import lateral


def test_the_same_arguments_give_the_same_picture() -> None:
    assert np.array_equal(lateral(7), lateral(7))
    assert not np.array_equal(lateral(7), lateral(8))
    assert not np.array_equal(lateral(7), lateral(7, seed=1))


def test_films_are_of_one_size_with_dark_lungs_and_a_bright_belly() -> None:
    for patient in range(6):
        film = lateral(patient)
        assert film.shape == (224, 224) and film.dtype == np.uint8
        middle = film[:, 70:154].astype(float)
        assert film.std() > 20
        assert middle[60:120].mean() < middle[190:].mean()


def test_they_face_either_way() -> None:
    """The spine is at the brighter, straighter side."""
    sides = [np.abs(np.diff(lateral(n)[60:140].astype(float), axis=0)).sum(0) for n in range(20)]
    left = sum(side[:112].sum() > side[112:].sum() for side in sides)
    assert 2 <= left <= 18


def test_laterals_are_no_frontal_films() -> None:
    """A frontal film is nearly its own mirror image; one from the side is not."""

    def symmetry(film: np.ndarray) -> float:
        return float(np.corrcoef(film.ravel(), film[:, ::-1].ravel())[0, 1])

    frontal = np.mean([symmetry(simulate(n, 0).pixels) for n in range(4)])
    assert frontal > 0.2 + np.mean([symmetry(lateral(n)) for n in range(12)])

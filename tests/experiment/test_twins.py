"""Twins: half of each hospital's patients of each class, all X-rays of a patient on one side."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from fedmed.experiment.twins import draw_half
from tests.support.xrays import xrays


def prepared(per_hospital: int = 40) -> SimpleNamespace:
    """Two hospitals; every patient has two X-rays; every fourth is ill."""
    count = 2 * per_hospital
    names = [f"person{n}_virus_{n}_{k}.jpeg" for n in range(count) for k in (1, 2)]
    images = [*xrays(names, 0)]
    for place, xray in enumerate(images):
        object.__setattr__(xray, "patient", f"patient {place // 2}")
        object.__setattr__(xray, "label", int(place // 2 % 4 == 0))
    parts = [np.arange(count), np.arange(count, 2 * count)]
    return SimpleNamespace(training=images, parts=parts)


def test_half_of_everybody_is_drawn() -> None:
    made = prepared()
    inside = draw_half(made, seed=1)  # type: ignore[arg-type]
    assert np.array_equal(inside[::2], inside[1::2]), "a patient's X-rays stay together"
    ill = np.array([xray.label for xray in made.training]) == 1
    for part in made.parts:
        for label in (True, False):
            assert inside[part][ill[part] == label].mean() == 0.5


def test_another_seed_draws_others() -> None:
    first, again, other = (draw_half(prepared(), seed) for seed in (1, 1, 2))  # type: ignore[arg-type]
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_of_an_odd_number_a_coin_tells_and_somebody_is_always_in() -> None:
    made = prepared(3)
    sizes = {int(draw_half(made, seed)[made.parts[0]].sum()) for seed in range(30)}  # type: ignore[arg-type]
    assert {2, 4} <= sizes and 0 not in sizes

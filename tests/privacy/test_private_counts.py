"""Counts with noise: of which size, on what, and how far one patient moves them."""

from __future__ import annotations

import numpy as np
import pytest

from fedmed.privacy import noise
from fedmed.privacy.accountant import delta_of
from fedmed.privacy.private_counts import deviation, release


@pytest.fixture
def seeded(monkeypatch):
    """Draw from a seed, begun anew with each call."""

    def begin(seed: int) -> None:
        generator = np.random.default_rng(seed)
        monkeypatch.setattr(noise, "gaussian", generator.standard_normal)

    return begin


@pytest.mark.parametrize(("epsilon", "delta"), [(1.0, 1e-5), (3.0, 1e-5), (8.0, 1e-3)])
def test_the_noise_is_what_one_patient_in_one_count_takes(epsilon, delta, seeded):
    scale = deviation(epsilon, delta)
    assert delta_of(1 / scale, epsilon) == pytest.approx(delta, rel=1e-6)
    seeded(1)
    drawn = np.array(release([50] * 20_000, epsilon, delta)) - 50
    assert drawn.mean() == pytest.approx(0, abs=4 * scale / 20_000**0.5)
    assert drawn.std() == pytest.approx((scale**2 + 1 / 12) ** 0.5, rel=0.03)


def test_counts_are_whole_and_may_be_below_nought(seeded):
    seeded(2)
    told = release([0] * 50, 1.0, 1e-5)
    assert all(type(count) is int for count in told)
    assert min(told) < 0 < max(told)


def test_one_patient_more_moves_one_count_by_one(seeded):
    seeded(3)
    with_all = release([6, 1, 2, 9], 3.0, 1e-5)
    seeded(3)
    without = release([6, 1, 1, 9], 3.0, 1e-5)
    moved = np.abs(np.subtract(with_all, without))
    assert moved.tolist() == [0, 0, 1, 0]


def test_two_releases_draw_two_noises():
    assert len({tuple(release([100] * 4, 1.0, 1e-5)) for _ in range(20)}) > 1

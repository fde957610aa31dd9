"""Noise: standard normal, never the same twice, and nothing of the exact sum in its last bits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from fedmed.privacy import noise
from fedmed.privacy.noise import gaussian  # the real one: tests.support.chance puts another there


def test_it_is_standard_normal() -> None:
    drawn = gaussian(20_000)
    # A good generator fails this once in a thousand million runs.
    assert kstest(drawn, "norm").pvalue > 1e-9
    assert np.isfinite(drawn).all()


@pytest.mark.parametrize("byte", [b"\x00", b"\xff"])
def test_the_ends_of_the_generator_are_finite(byte: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise.os, "urandom", lambda count: byte * count)
    assert np.isfinite(gaussian(3)).all()


def test_no_seed_draws_it_again() -> None:
    np.random.seed(1)
    first = gaussian(4)
    np.random.seed(1)
    assert not np.array_equal(first, gaussian(4))


def test_every_number_lies_on_the_grid() -> None:
    """Whatever it was added to: of two neighbouring sums, the same numbers can come out."""
    exact = np.random.default_rng(0).normal(size=(2, 100))
    noisy = noise.add_noise(exact, 0.3)
    assert noisy.shape == exact.shape
    steps = noisy / (0.3 * noise.GRID)
    assert np.array_equal(steps, np.rint(steps)) or np.allclose(steps, np.rint(steps), atol=1e-9)
    assert 0.15 < (noisy - exact).std() < 0.6

"""The accountant against the definition, integrated, and against another's library."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fedmed.privacy.accountant import (
    composed,
    delta_of,
    epsilon_of,
    mu_of,
    noise_multiplier,
    of_a_group,
)


@pytest.mark.parametrize(("mu", "epsilon"), [(0.5, 0.2), (1.0, 1.0), (3.0, 8.0), (0.1, 0.0)])
def test_delta_is_that_of_the_definition(mu: float, epsilon: float) -> None:
    """The largest P[A] - e^epsilon Q[A] over all events A, of N(mu, 1) and N(0, 1), as a sum."""
    x = np.linspace(-15, 20, 2_000_001)
    p, q = (np.exp(-((x - at) ** 2) / 2) / math.sqrt(2 * math.pi) for at in (mu, 0.0))
    integral = np.clip(p - math.exp(epsilon) * q, 0, None).sum() * (x[1] - x[0])
    assert delta_of(mu, epsilon) == pytest.approx(integral, abs=1e-9)


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 3.0, 8.0, 50.0])
@pytest.mark.parametrize("delta", [1e-3, 1e-5, 1e-9])
def test_mu_and_epsilon_undo_each_other(epsilon: float, delta: float) -> None:
    mu = mu_of(epsilon, delta)
    assert epsilon_of(mu, delta) == pytest.approx(epsilon, rel=1e-6)
    assert delta_of(mu, epsilon) == pytest.approx(delta, rel=1e-6)
    assert delta_of(1.01 * mu, epsilon) > delta > delta_of(0.99 * mu, epsilon)


def test_less_noise_or_more_patients_cost_more() -> None:
    assert noise_multiplier(1, 1e-5, 60) > noise_multiplier(3, 1e-5, 60)
    assert noise_multiplier(3, 1e-5, 60) == pytest.approx(2 * noise_multiplier(3, 1e-5, 15))
    mu = mu_of(3, 1e-5)
    costs = [epsilon_of(of_a_group(mu, patients), 1e-5) for patients in (1, 2, 10, 1000)]
    assert costs == sorted(costs) and costs[0] == pytest.approx(3) and costs[-1] > 10_000
    assert 3 < epsilon_of(composed(mu, 2), 1e-5) < costs[1]
    assert epsilon_of(1e-7, 1e-5) == 0


@pytest.mark.parametrize(("epsilon", "steps"), [(1.0, 60), (3.0, 30), (8.0, 1)])
def test_an_independent_accountant_agrees(epsilon: float, steps: int) -> None:
    """Google's dp-accounting, which convolves discretised privacy losses."""
    accounting = pytest.importorskip("dp_accounting")
    from dp_accounting.pld import PLDAccountant

    multiplier = noise_multiplier(epsilon, 1e-5, steps)
    event = accounting.SelfComposedDpEvent(accounting.GaussianDpEvent(multiplier), steps)
    theirs = PLDAccountant().compose(event).get_epsilon(1e-5)
    # Theirs is an upper bound: it discretises.
    assert epsilon - 1e-6 <= theirs < 1.01 * epsilon + 0.01

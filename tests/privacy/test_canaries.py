"""The audit stays below a promise that is kept, and exceeds one that is broken."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fedmed.privacy import private_training
from fedmed.privacy.canaries import DOUBT, audit, lower_bound, p_value
from fedmed.privacy.private_training import PrivateTrainer
from fedmed.privacy.rows import Space
from tests.support.patients import mechanism

SPACE = Space(torch.zeros(512, dtype=torch.float64), 2.0)


def audited(epsilon: float, seed: int) -> dict[str, float]:
    trainer = PrivateTrainer(mechanism(epsilon=epsilon, steps=4), SPACE)
    return audit(trainer, np.random.default_rng(seed))


@pytest.mark.parametrize("epsilon", [1.0, 3.0])
def test_a_promise_that_is_kept_is_not_refuted(epsilon: float) -> None:
    bounds = [audited(epsilon, seed)["at_least"] for seed in range(8)]
    assert max(bounds) <= epsilon
    if epsilon == 3.0:
        assert max(bounds) > 0.2, "and the audit does see something"


def test_noise_forgotten_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        private_training, "add_noise", lambda exact, scale: exact.astype(np.float64)
    )
    found = audited(3.0, 0)
    assert found["at_least"] > found["claimed"] == 3.0
    assert found["at_least"] == pytest.approx(found["ceiling"])


def test_noise_of_a_single_step_is_found_to_be_too_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Composition forgotten: each step gets the noise of a run of one step, and 64 are taken."""
    add = private_training.add_noise
    monkeypatch.setattr(private_training, "add_noise", lambda exact, scale: add(exact, scale / 8))
    trainer = PrivateTrainer(mechanism(epsilon=1.0, steps=64), SPACE)
    assert max(audit(trainer, np.random.default_rng(s))["at_least"] for s in range(4)) > 1.0


def test_without_delta_it_is_a_binomial_test() -> None:
    """By hand: all of 20 guesses right have the probability (e / (1 + e))^20."""
    share = np.e / (1 + np.e)
    assert p_value(20, 20, 20, 1.0, 0.0) == pytest.approx(share**20)
    bound = lower_bound(20, 20, 20, 0.0)
    assert (1 / (1 + np.exp(-bound))) ** 20 == pytest.approx(DOUBT, rel=1e-4)
    assert lower_bound(20, 20, 10, 0.0) == 0


def test_delta_and_fewer_right_guesses_lower_the_bound() -> None:
    assert lower_bound(500, 250, 240, 1e-3) < lower_bound(500, 250, 240, 0.0)
    bounds = [lower_bound(500, 250, right, 1e-5) for right in (130, 180, 220, 250)]
    assert bounds == sorted(bounds)
    # The paper's ceiling: 500 of 500.
    assert lower_bound(500, 500, 500, 1e-5) == pytest.approx(5.1, abs=0.05)

"""How long a step may be: against the Hessian, and between whole batches and single images."""

from __future__ import annotations

import torch

from fedmed.training.logistic import curvature
from fedmed.training.optimizer import Optimisation
from fedmed.training.rows import rows
from fedmed.training.smoothness import steps_for
from tests.support.sites import CloudSite


def test_with_whole_batches_it_is_half_the_inverse_of_the_largest_curvature() -> None:
    """At zero, where the curvature is largest; a head's two rows feel it twice."""
    site, whole = CloudSite("a", 80, 40, 6), Optimisation(batch_size=1000, class_weights=(0.8, 1.4))
    at = curvature(torch.zeros(7, dtype=torch.float64), list(rows(site, whole)))
    total = float(sum(part.weights.sum() for part in rows(site, whole)))
    largest = 2 * float(torch.linalg.eigvalsh(at.hessian)[-1]) / total
    assert abs(steps_for(site, whole) * 2 * largest - 1) < 1e-3


def test_small_batches_ask_for_short_steps() -> None:
    site = CloudSite("a", 80, 40, 6)
    steps = [steps_for(site, Optimisation(batch_size=size)) for size in (1, 8, 64, 120)]
    assert steps == sorted(steps) and steps[0] < steps[-1] / 3
    longest = float(site.features.square().sum(1).max()) + 1
    assert abs(steps[0] * longest - 1) < 1e-5

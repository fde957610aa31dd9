"""Shapley values: what they promise, and what they come to on hospitals that differ."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fedmed.experiment.contribution import contribution, sampled, shapley
from fedmed.training.optimizer import Optimisation
from tests.support.sites import CloudSite

WORTH = np.array([0.4, 0.1, 0.0, 0.2])


def together(members: frozenset[int]) -> float:
    """The first two are worth 0.3 more together; the third is worth nothing to anybody."""
    return float(WORTH[list(members)].sum()) + 0.3 * ({0, 1} <= members)


def test_values_are_shapleys() -> None:
    assert shapley(4, together) == pytest.approx([0.55, 0.25, 0.0, 0.2])
    assert sum(shapley(4, together)) == pytest.approx(together(frozenset(range(4))))


def test_sampled_orders_come_near_and_add_up() -> None:
    values = sampled(4, together, seed=1)
    assert values == pytest.approx([0.55, 0.25, 0.0, 0.2], abs=0.05)
    assert sum(values) == pytest.approx(together(frozenset(range(4))))
    assert values == sampled(4, together, seed=1) != sampled(4, together, seed=2)


UNSEEN = CloudSite("unseen", 40, 40, 8)
VALIDATION = (UNSEEN.features, UNSEEN.labels.numpy())


def test_a_hospital_of_wrong_labels_takes_away() -> None:
    sites = [CloudSite(f"hospital_{i}", 60, 60, 8) for i in range(1, 4)]
    sites[1].labels = 1 - sites[1].labels
    found = contribution(sites, Optimisation(), *VALIDATION, seed=0)
    assert found is not None and found["exact"] and found["federations"] == 7
    values = found["hospitals"]
    assert values["hospital_2"] < 0 < min(values["hospital_1"], values["hospital_3"])
    assert sum(values.values()) == pytest.approx(found["everybody"] - found["nobody"])


def test_many_hospitals_are_sampled_and_very_many_left_out() -> None:
    sites = [CloudSite(f"hospital_{i}", 5, 5, 8) for i in range(1, 13)]
    found = contribution(sites, Optimisation(), *VALIDATION, seed=0)
    assert found is not None and not found["exact"] and found["federations"] <= 500
    assert sum(found["hospitals"].values()) == pytest.approx(found["everybody"] - 0.5)
    assert contribution(sites * 10, Optimisation(), *VALIDATION, seed=0) is None


def test_a_hospital_with_one_class_alone_ranks_nobody() -> None:
    sites = [CloudSite("hospital_1", 30, 0, 8), CloudSite("hospital_2", 0, 30, 8)]
    found = contribution(sites, Optimisation(), *VALIDATION, seed=0)
    assert found is not None
    assert found["hospitals"]["hospital_1"] == pytest.approx(found["hospitals"]["hospital_2"])
    assert found["everybody"] > 0.9
    assert bool(torch.isfinite(torch.tensor(list(found["hospitals"].values()))).all())

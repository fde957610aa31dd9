"""Newton: the optimum of logistic regression, the same federated as in one place."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from fedmed.federated.algorithms.newton import Newton
from fedmed.federated.rounds import federate
from fedmed.training.heads import Heads
from fedmed.training.logistic import losses, optimum
from fedmed.training.optimizer import Optimisation
from fedmed.training.rows import direction_of, rows
from tests.support.federations import apart, run
from tests.support.sites import CloudSite, pooled, skewed

WEIGHTED = Optimisation(class_weights=(1.3, 0.8))


@pytest.mark.slow
def test_it_is_the_optimum_in_one_place() -> None:
    sites = skewed()
    state = run(sites, Newton(), rounds=30, optimisation=WEIGHTED)
    assert 3 < state.round < 15, "it stops by itself"
    central = run([pooled(sites)], Newton(), rounds=30, optimisation=WEIGHTED)
    assert (state.server["try"] - central.server["try"]).abs().max() < 1e-10
    best = optimum(list(rows(pooled(sites), WEIGHTED)), Newton().l2)
    assert (state.server["try"] - best).abs().max() < 1e-7


def test_it_is_scikit_learns() -> None:
    sites = skewed(20)
    everyone = pooled(sites)
    state = run(sites, Newton(l2=0.05), rounds=30, optimisation=WEIGHTED)
    weights = np.array(WEIGHTED.class_weights)[everyone.labels.numpy()]
    reference = LogisticRegression(C=1 / (0.05 * len(weights)), tol=1e-12, max_iter=10_000)
    reference.fit(everyone.features.double().numpy(), everyone.labels.numpy(), weights)
    expected = np.append(reference.coef_[0], reference.intercept_[0])
    assert np.abs(state.server["try"].numpy() - expected).max() < 1e-5


@pytest.mark.slow
def test_the_gradient_is_squared_in_each_round_at_the_end() -> None:
    lengths = []
    run(
        skewed(), Newton(tolerance=1e-13), rounds=12,
        on_round=lambda now: lengths.append(float(now.server["gradient"])),
    )  # fmt: skip
    assert lengths[-1] < 1e-12
    near = [length for length in lengths if 1e-7 < length < 1e-2]
    after = [lengths[lengths.index(length) + 1] for length in near]
    assert near and all(b < 30 * a**2 + 1e-14 for a, b in zip(near, after, strict=True))


def test_a_step_that_is_too_long_is_halved() -> None:
    """From far off, where the loss is nearly flat in curvature, the whole step overshoots."""
    site = CloudSite("hospital_1", 200, 200, 4)
    start = {"weight": torch.tensor([[-9.0, 3, 3, 3], [9, -3, -3, -3]]), "bias": torch.zeros(2)}
    sizes, data = [], list(rows(site, WEIGHTED))
    seen = []

    def on_round(now):
        sizes.append(float(now.server["size"]))
        seen.append(float(losses(now.server["at"][None], data, 1e-4)[0]))

    state = federate(
        [site], algorithm=Newton(l2=1e-4), model=start, rounds=60, local_epochs=1,
        optimisation=WEIGHTED, seed=0, on_round=on_round,
    )  # fmt: skip
    assert min(sizes) < 1 and sizes[-1] == 1
    assert all(b <= a + 1e-12 for a, b in pairwise(seen))
    assert (state.server["try"] - optimum(data, 1e-4)).abs().max() < 1e-6


def test_no_round_follows_the_last() -> None:
    first = run(skewed(16), Newton(), rounds=50)
    again = run(skewed(16), Newton(), rounds=60, state=first)
    assert again.round == first.round < 50
    assert apart(again.model, first.model) == 0


def test_a_hospital_with_one_class_takes_part() -> None:
    sites = [CloudSite("hospital_1", 40, 0, 8), CloudSite("hospital_2", 0, 40, 8)]
    state = run(sites, Newton(), rounds=20)
    own = Heads.of(Newton().model(state.own))
    assert bool(own.weight.isfinite().all())
    best = optimum(list(rows(pooled(sites), Optimisation())), Newton().l2)
    now = direction_of(state.model["weight"], state.model["bias"])
    assert (now - best).abs().max() < 1e-6

"""Linear discriminant analysis by sums: scikit-learn's, and ridge regression's direction."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from fedmed.federated.algorithms.lda import Lda
from fedmed.federated.algorithms.ridge import Ridge
from fedmed.training.heads import Heads, probabilities
from fedmed.training.optimizer import Optimisation
from fedmed.training.rows import direction_of
from fedmed.training.tensors import group
from tests.support.federations import apart, run
from tests.support.sites import CloudSite, pooled, skewed


def direction(state) -> torch.Tensor:
    return direction_of(state.model["weight"], state.model["bias"])


def test_it_is_scikit_learns_where_both_classes_weigh_the_same() -> None:
    sites = [CloudSite("hospital_1", 90, 60, 16), CloudSite("hospital_2", 60, 90, 16)]
    everyone = pooled(sites)
    state = run(sites, Lda(shrink=0.0))
    reference = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.0, priors=[0.5, 0.5]).fit(
        everyone.features.double().numpy(), everyone.labels.numpy()
    )
    expected = np.append(reference.coef_[0], reference.intercept_[0])
    assert np.abs(direction(state).numpy() - expected).max() < 1e-5 * np.abs(expected).max()


def test_its_direction_is_that_of_ridge_regression_with_the_same_penalty() -> None:
    """With one penalty for the scatter within the classes; here of one mean variance."""
    sites, shrink = skewed(64), 0.2
    weighted = Optimisation(class_weights=(1.7, 0.9))
    lda = run(sites, Lda(shrink=shrink), optimisation=weighted)
    sums = group(lda.server, "sums")
    size = len(sums["targets"])
    products = torch.zeros(size, size, dtype=torch.float64)
    products[tuple(torch.triu_indices(size, size))] = sums["products"]
    weights = (products[-1, -1] + torch.stack([-sums["targets"][-1], sums["targets"][-1]])) / 2
    totals = (products[:-1, -1] + sums["targets"][:-1] * torch.tensor([[-1.0], [1.0]])) / 2
    means = totals / weights[:, None]
    trace = products.diagonal()[:-1].sum() - (weights @ means.square().sum(1))
    l2 = float(shrink / (1 - shrink) * trace / (size - 1))
    ridge = run(sites, Ridge(l2=l2), optimisation=weighted)
    cosine = torch.cosine_similarity(direction(lda)[:-1], direction(ridge)[:-1], 0)
    assert abs(float(cosine) - 1) < 1e-10


def test_any_partition_gives_the_same_head() -> None:
    sites = skewed()
    assert apart(run([pooled(sites)], Lda()).model, run(sites, Lda()).model) < 1e-5


def test_the_line_lies_half_way_between_the_means() -> None:
    sites = skewed()
    everyone = pooled(sites)
    means = [everyone.features[everyone.labels == label].mean(0) for label in (0, 1)]
    head = Heads.of(run(sites, Lda()).model)
    said = probabilities(head, torch.stack([means[0], (means[0] + means[1]) / 2, means[1]]))[0]
    assert said[0] < 0.4 and abs(float(said[1]) - 0.5) < 1e-4 and said[2] > 0.6


def test_alone_with_one_class_a_hospital_says_that_class() -> None:
    sites = [CloudSite("hospital_1", 0, 50), CloudSite("hospital_2", 50, 0)]
    own = Heads.of(Lda().model(run(sites, Lda()).own))
    said = probabilities(own, sites[0].features)
    assert bool((said[0] > 0.5).all()) and bool((said[1] < 0.5).all())

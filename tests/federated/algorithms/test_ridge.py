"""Ridge regression by sums: scikit-learn's, for any partition, and without whom one likes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge as Reference

from fedmed.errors import UserError
from fedmed.federated.algorithms.ridge import Ridge
from fedmed.training.optimizer import Optimisation
from fedmed.training.rows import direction_of
from fedmed.training.tensors import group
from tests.support.federations import apart, run
from tests.support.sites import CloudSite, pooled, skewed

WEIGHTED = Optimisation(class_weights=(1.25, 0.75))


def solution(sums: dict[str, torch.Tensor], l2: float) -> np.ndarray:
    """The float64 solution of a server's sums, before it becomes a head."""
    size = len(sums["targets"])
    products = torch.zeros(size, size, dtype=torch.float64)
    products[tuple(torch.triu_indices(size, size))] = sums["products"]
    products = products + products.T - products.diag().diag()
    products.diagonal()[:-1] += l2
    return np.linalg.solve(products.numpy(), sums["targets"].numpy())


def test_it_is_scikit_learns() -> None:
    sites = skewed()
    everyone = pooled(sites)
    state = run(sites, Ridge(l2=0.3), optimisation=WEIGHTED)
    weights = np.array(WEIGHTED.class_weights)[everyone.labels.numpy()]
    reference = Reference(alpha=0.3 * len(weights)).fit(
        everyone.features.double().numpy(), 2.0 * everyone.labels.numpy() - 1, weights
    )
    expected = np.append(reference.coef_, reference.intercept_)
    ours = solution(group(state.server, "sums"), 0.3)
    assert np.abs(ours - expected).max() < 1e-10
    head = direction_of(state.model["weight"], state.model["bias"]).numpy()
    assert np.abs(head - 2 * expected).max() < 1e-6


def test_any_partition_gives_the_same_solution() -> None:
    sites = skewed()
    everyone = pooled(sites)
    order = torch.randperm(len(everyone.labels), generator=torch.Generator().manual_seed(1))
    dealt = []
    for place, some in enumerate(order.split(155)):
        site = CloudSite(f"hospital_{place}", 0, 0)
        site.labels, site.features = everyone.labels[some], everyone.features[some]
        dealt.append(site)
    answers = [
        solution(group(run(sites, Ridge(fewest=0)).server, "sums"), 0.1)
        for sites in (sites, dealt, [everyone])
    ]
    assert max(np.abs(answer - answers[0]).max() for answer in answers) < 1e-10


def test_a_hospital_subtracted_from_the_sums_was_never_there() -> None:
    sites = skewed()
    heard = []

    class Listening(Ridge):
        def aggregate(self, server, sent, samples, now):
            heard.append((sent, samples))
            return super().aggregate(server, sent, samples, now)

    state = run(sites, Listening())
    ((sent, samples),) = heard
    total = samples.sum()
    sums = {
        name: (tensor * total - sent[name][1] * samples[1]) / (total - samples[1])
        for name, tensor in group(state.server, "sums").items()
    }
    without = run([site for site in sites if site.name != "hospital_2"], Ridge())
    expected = solution(group(without.server, "sums"), 0.1)
    assert np.abs(solution(sums, 0.1) - expected).max() < 1e-10
    assert apart(state.model, without.model) > 1e-3, "and it made a difference"


def test_too_few_images_of_a_class_are_refused_in_words() -> None:
    sites = [CloudSite("hospital_1", 19, 50), CloudSite("hospital_2", 40, 40)]
    with pytest.raises(UserError, match=r"hospital_1 has 19 NORMAL X-rays.*class-means"):
        run(sites, Ridge())
    assert run(sites, Ridge(fewest=19)).round == 1


def test_a_hospital_without_a_class_gives_nothing_of_it_away() -> None:
    assert run([CloudSite("hospital_1", 0, 50), CloudSite("hospital_2", 50, 0)], Ridge()).round == 1


def test_no_format_rounds_its_sums() -> None:
    plain, rounded = run(skewed(), Ridge()), run(skewed(), Ridge(), "int8")
    assert apart(plain.model, rounded.model) == 0

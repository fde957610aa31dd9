"""Class means: scikit-learn's nearest centroid, from one message of each hospital."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestCentroid

from fedmed.federated.algorithms.class_means import ClassMeans
from fedmed.training.heads import Heads, probabilities
from fedmed.training.optimizer import Optimisation
from tests.support.federations import apart, run
from tests.support.sites import CloudSite, pooled, skewed


def test_it_is_the_nearest_centroid() -> None:
    sites = skewed()
    everyone = pooled(sites)
    state = run(sites, ClassMeans(), optimisation=Optimisation(class_weights=(1.4, 0.7)))
    reference = NearestCentroid().fit(everyone.features.numpy(), everyone.labels.numpy())
    unseen = CloudSite("unseen", 500, 500).features
    ours = (probabilities(Heads.of(state.model), unseen)[0] > 0.5).numpy()
    assert np.array_equal(ours, reference.predict(unseen.numpy()).astype(bool))


def test_any_partition_gives_the_same_head() -> None:
    sites = skewed()
    everyone = pooled(sites)
    one, many = run([everyone], ClassMeans()), run(sites, ClassMeans())
    assert one.round == many.round == 1
    assert apart(one.model, many.model) < 1e-6
    sums, together = many.server["sums/sums"], one.server["sums/sums"]
    assert sums.dtype == torch.float64 and (sums - together).abs().max() < 1e-12


@pytest.mark.parametrize("label", [0, 1])
def test_a_hospital_with_one_class_only_is_welcome(label: int) -> None:
    other = CloudSite("hospital_2", 40 * label, 40 * (1 - label))
    sites = [CloudSite("hospital_1", 40 * (1 - label), 40 * label), other]
    state = run(sites, ClassMeans())
    whole = run([pooled(sites)], ClassMeans())
    assert apart(state.model, whole.model) < 1e-6
    mine = Heads.of({name: tensor[:1] for name, tensor in ClassMeans().model(state.own).items()})
    said = probabilities(mine, other.features) > 0.5
    assert bool((said == bool(label)).all()), "alone it knows but its own class"


def test_probabilities_keep_away_from_0_and_1() -> None:
    sites = skewed()
    for site in sites:
        site.features = 30 * site.features
    said = probabilities(Heads.of(run(sites, ClassMeans()).model), sites[2].features)
    assert 1e-3 < float(said.min()) < float(said.max()) < 1 - 1e-3

"""Federated averaging: one round of it, one hospital of it."""

from __future__ import annotations

import numpy as np
import pytest

from fedmed.federated.algorithm import Algorithm
from fedmed.federated.algorithms.fedavg import FedAvg
from fedmed.federated.algorithms.fedprox import FedProx
from fedmed.training.heads import Heads, stack
from fedmed.training.local_training import train
from fedmed.training.optimizer import Optimisation
from fedmed.training.tensors import pick
from tests.support.federations import apart, run
from tests.support.sites import OPTIMISATION, CloudSite, pooled, skewed, zero_head

# One hospital alone is trained as if there were no federation, in rounds.
AS_CENTRAL: list[Algorithm] = [FedAvg(), FedProx(mu=0.0)]


@pytest.mark.parametrize("algorithm", AS_CENTRAL, ids=lambda algorithm: algorithm.name)
def test_one_hospital_is_central_training(algorithm: Algorithm) -> None:
    site = CloudSite("hospital_1", 150, 250)
    central = Heads.of(zero_head())
    for number in range(3):  # Adam starts afresh in every round
        epochs = range(2 * number, 2 * number + 2)
        central = train(central, [site], epochs, OPTIMISATION, seed=42)
    assert apart(run([site], algorithm).model, pick(central.tensors(), 0)) < 1e-6


def test_one_round_of_fedavg_is_the_weighted_mean_of_local_training() -> None:
    sites = skewed()
    state = run(sites, FedAvg(), rounds=1)
    start = [Heads.of(zero_head())]
    alone = stack([train(start[0], [s], range(2), OPTIMISATION, seed=42) for s in sites])
    counts = [len(site.labels) for site in sites]
    for name, tensor in alone.tensors().items():
        mean = np.average(tensor.double().numpy(), axis=0, weights=counts)
        assert np.allclose(state.model[name].numpy(), mean, atol=1e-6)


@pytest.mark.parametrize("classes", [(1.0, 1.0), (3.0, 0.6)], ids=["alike", "weighted"])
def test_one_step_everywhere_is_one_step_of_central_training(classes: tuple[float, float]) -> None:
    """McMahan et al. 2017, section 2: so FedSGD is SGD, however classes are dealt and weighed."""
    sites = skewed()
    step = Optimisation(learning_rate=0.1, batch_size=10_000, class_weights=classes, rule="sgd")
    central = train(Heads.of(zero_head()), [pooled(sites)], range(1), step, seed=42)
    federated = run(sites, FedAvg(), rounds=1, local_epochs=1, optimisation=step).model
    assert apart(federated, pick(central.tensors(), 0)) < 1e-6
    assert apart(federated, zero_head()) > 1e-3

"""FedAvgM: FedAvg without momentum, the paper's step with it."""

from __future__ import annotations

import numpy as np

from fedmed.federated.algorithms import ALGORITHMS, make_algorithm
from fedmed.federated.algorithms.fedavg import FedAvg
from fedmed.federated.algorithms.fedavgm import FedAvgM
from tests.support.federations import apart, run
from tests.support.sites import skewed


def test_without_momentum_it_is_fedavg_to_the_bit() -> None:
    still = FedAvgM(learning_rate=1.0, momentum=0.0)
    assert apart(run(skewed(), still).models, run(skewed(), FedAvg()).models) == 0


def test_it_is_the_papers_step_on_the_mean_updates() -> None:
    """Its server in NumPy, float64, fed with what the server got."""
    sites, updates = skewed(), []

    class Listening(FedAvgM):
        def aggregate(self, server, sent, samples, now):
            updates.append(np.average(sent["weight"].double().numpy(), axis=0, weights=samples))
            return super().aggregate(server, sent, samples, now)

    state = run(sites, Listening(learning_rate=0.7, momentum=0.8), rounds=4)
    x, v = np.zeros((2, 512)), np.zeros((2, 512))
    for update in updates:
        v = 0.8 * v + update
        x = x + 0.7 * v
    assert np.allclose(state.model["weight"].numpy(), x, atol=1e-6)


def test_of_networks_it_forgets_sooner_and_no_other_algorithm_differs() -> None:
    heads, networks = (make_algorithm("fedavgm", networks=of) for of in (False, True))
    assert heads == FedAvgM() and networks.momentum < heads.momentum
    others = set(ALGORITHMS) - {"fedavgm"}
    assert all(make_algorithm(name, networks=True) == ALGORITHMS[name]() for name in others)

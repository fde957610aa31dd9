"""FedYogi: the paper's second moment, in NumPy."""

from __future__ import annotations

import numpy as np

from fedmed.federated.algorithms.fedadam import FedAdam
from fedmed.federated.algorithms.fedyogi import FedYogi
from tests.support.federations import apart, run
from tests.support.sites import skewed


def test_it_is_the_papers_step_on_the_mean_updates() -> None:
    """Its server in NumPy, float64, fed with what the server got."""
    updates = []

    class Listening(FedYogi):
        def aggregate(self, server, sent, samples, now):
            updates.append(np.average(sent["weight"].double().numpy(), axis=0, weights=samples))
            return super().aggregate(server, sent, samples, now)

    state = run(skewed(), Listening(learning_rate=0.03, beta1=0.8, beta2=0.95, tau=1e-2), rounds=4)
    x, m, v = np.zeros((2, 512)), np.zeros((2, 512)), np.full((2, 512), 1e-4)
    for delta in updates:
        m = 0.8 * m + 0.2 * delta
        v = v - 0.05 * delta**2 * np.sign(v - delta**2)
        x = x + 0.03 * m / (np.sqrt(v) + 1e-2)
    assert np.allclose(state.server["model/weight"].numpy(), x, atol=1e-6)
    assert np.allclose(state.server["square/weight"].numpy(), v, atol=1e-9)


def test_it_is_not_fedadam() -> None:
    assert apart(run(skewed(), FedYogi()).model, run(skewed(), FedAdam()).model) > 1e-4

"""FedAdam and FedYogi: the papers' steps, in NumPy."""

from __future__ import annotations

import numpy as np

from fedmed.federated.algorithms.fedadam import FedAdam
from tests.support.federations import run
from tests.support.sites import skewed


def test_fedadam_is_the_papers_step_on_the_mean_updates() -> None:
    """Its server in NumPy, float64, fed with what the server got."""
    sites, updates = skewed(), []

    class Listening(FedAdam):
        def aggregate(self, server, sent, samples, now):
            updates.append({name: tensor.double().numpy() for name, tensor in sent.items()})
            return super().aggregate(server, sent, samples, now)

    state = run(sites, Listening(learning_rate=0.03, beta1=0.8, beta2=0.95, tau=1e-2), rounds=4)
    counts = [len(site.labels) for site in sites]
    for name, shape in (("weight", (2, 512)), ("bias", (2,))):
        x, m, v = np.zeros(shape), np.zeros(shape), np.full(shape, 1e-4)
        for sent in updates:
            delta = np.average(sent[name], axis=0, weights=counts)
            m = 0.8 * m + 0.2 * delta
            v = 0.95 * v + 0.05 * delta**2
            x = x + 0.03 * m / (np.sqrt(v) + 1e-2)
        assert np.allclose(state.server[f"model/{name}"].numpy(), x, atol=1e-7)
        assert np.allclose(state.server[f"mean/{name}"].numpy(), m, atol=1e-7)
        assert np.allclose(state.server[f"square/{name}"].numpy(), v, atol=1e-9)

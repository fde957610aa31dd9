"""FedProx: its pull, held against FedAvg and against autograd."""

from __future__ import annotations

import torch

from fedmed.federated.algorithms.fedavg import FedAvg
from fedmed.federated.algorithms.fedprox import FedProx
from fedmed.training.heads import Heads
from fedmed.training.local_training import train
from fedmed.training.tensors import group, pick
from tests.support.federations import apart, run
from tests.support.sites import OPTIMISATION, CloudSite, skewed


def test_fedprox_without_a_pull_is_fedavg_to_the_bit() -> None:
    assert apart(run(skewed(), FedProx(mu=0.0)).models, run(skewed(), FedAvg()).models) == 0


def test_fedprox_holds_hospitals_near_the_global_model_the_more_it_pulls() -> None:
    drifts = []
    for mu in (0.0, 0.1, 1.0, 100.0):
        state = run(skewed(), FedProx(mu=mu), rounds=1, local_epochs=5)
        drifts.append(float(group(state.own, "model")["weight"].norm(dim=(1, 2)).mean()))
    assert drifts == sorted(drifts, reverse=True)
    assert drifts[-1] < drifts[0] / 10


def test_fedprox_follows_the_gradient_of_its_loss() -> None:
    """Against autograd on the loss as the paper writes it."""
    site = CloudSite("hospital_1", 20, 12, width=4)
    start = Heads(torch.full((1, 2, 4), 0.3), torch.tensor([[0.1, -0.2]]))
    linear = torch.nn.Linear(4, 2)
    linear.load_state_dict({"weight": start.weight[0].clone(), "bias": start.bias[0].clone()})
    adam = torch.optim.Adam(linear.parameters(), lr=OPTIMISATION.learning_rate)
    for _ in range(6):
        adam.zero_grad()
        loss = torch.nn.functional.cross_entropy(linear(site.features), site.labels)
        distance = (linear.weight - start.weight[0]).square().sum()
        distance = distance + (linear.bias - start.bias[0]).square().sum()
        (loss + 0.7 / 2 * distance).backward()
        adam.step()
    pull = FedProx(mu=0.7).gradient(pick(start.tensors(), 0))
    head = train(start, [site], range(6), OPTIMISATION, seed=1, gradient=pull)
    assert apart(pick(head.tensors(), 0), dict(linear.state_dict())) < 1e-6

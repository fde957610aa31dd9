"""Hospitals keep what their algorithm needs, and no model."""

from __future__ import annotations

from typing import Any

import torch

from fedmed.federated.algorithms.fedavg import FedAvg
from fedmed.federated.forgetful import Forgetful
from fedmed.training.tensors import under


def test_hospitals_networks_are_forgotten_and_what_else_they_keep_is_not() -> None:
    class Keeping(FedAvg):
        def local(self, received, own, sites, now):
            sent = {"w": torch.zeros(1, 2)}
            return sent, {**under("model", sent), "control/w": torch.ones(1, 2)}

    algorithm = Forgetful(Keeping())
    _, own = algorithm.init({"w": torch.zeros(2)}, torch.tensor([3]))
    assert own == {}
    now: Any = None
    sent, own = algorithm.local({}, {}, [], now)
    assert set(sent) == {"w"} and set(own) == {"control/w"}
    assert algorithm.name == "fedavg" and algorithm.additive

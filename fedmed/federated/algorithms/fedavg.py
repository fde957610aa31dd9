"""Federated averaging."""

from __future__ import annotations

import torch
from torch import Tensor

from fedmed.federated.algorithm import Algorithm
from fedmed.training.heads import Heads


class FedAvg(Algorithm):
    """Federated averaging (McMahan et al. 2017): the mean, weighted by number of samples."""

    def aggregate(self, updates: Heads, samples: Tensor) -> Heads:
        share = samples / samples.sum()
        weight = torch.einsum("h,hcf->cf", share, updates.weight)
        return Heads(weight[None], torch.einsum("h,hc->c", share, updates.bias)[None])

"""What each hospital contributes: its Shapley value, over federations with and without it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fedmed.evaluation.bootstrap import auc_statistic
from fedmed.federated.algorithms.ridge import Ridge
from fedmed.training.heads import Heads, probabilities
from fedmed.training.local_training import Site
from fedmed.training.optimizer import Optimisation
from fedmed.training.rows import rows
from fedmed.training.tensors import join, repeat, weighted_mean

EXACT_UP_TO = 8  # hospitals: 256 federations
SAMPLED_UP_TO = 100  # hospitals, beyond which too few orders could be drawn
FEDERATIONS = 500  # of sampled orders, about
NOBODY = 0.5  # the AUC of no training at all

Coalition = frozenset[int]


def contribution(
    sites: Sequence[Site],
    optimisation: Optimisation,
    features: Tensor,
    truth: np.ndarray,
    *,
    seed: int,
) -> dict[str, Any] | None:
    """Return how the AUC on validation divides among the hospitals, or None where they are many.

    `features` [m, F] and `truth` [m] are the validation X-rays'.

    Each coalition's federation is ridge regression on its hospitals' sums, which takes one round.
    Ghorbani, Zou: Data Shapley, ICML 2019, arXiv:1904.02868; sampled orders as in their Algorithm
    1, without truncation.
    """
    if len(sites) > SAMPLED_UP_TO:
        return None
    ridge = Ridge(fewest=0)
    parts = [[ridge.sums(part) for part in rows(site, optimisation)] for site in sites]
    sums = join(
        [
            repeat({name: sum((part[name] for part in of), torch.tensor(0.0)) for name in of[0]}, 1)
            for of in parts
        ]
    )
    counts = torch.tensor([len(site.labels) for site in sites])
    known: dict[Coalition, float] = {frozenset(): NOBODY}

    def value(members: Coalition) -> float:
        if members not in known:
            places = torch.tensor(sorted(members))
            some = {name: tensor[places] for name, tensor in sums.items()}
            head = ridge.solve({n: t[0] for n, t in weighted_mean(some, counts[places]).items()})
            scores = probabilities(Heads.of(head), features).numpy()
            known[members] = float(auc_statistic(scores, truth)(np.ones((1, len(truth))))[0, 0])
        return known[members]

    exact = len(sites) <= EXACT_UP_TO
    values = shapley(len(sites), value) if exact else sampled(len(sites), value, seed)
    return {
        "method": "ridge",
        "metric": "auc",
        "exact": exact,
        "federations": len(known) - 1,
        "nobody": NOBODY,
        "everybody": value(frozenset(range(len(sites)))),
        "hospitals": {site.name: found for site, found in zip(sites, values, strict=True)},
    }


def shapley(count: int, value: Callable[[Coalition], float]) -> list[float]:
    """Return each member's mean marginal value, over all orders of joining."""
    result = []
    for one in range(count):
        others = [other for other in range(count) if other != one]
        total = 0.0
        for size in range(count):
            weight = 1 / (count * math.comb(count - 1, size))
            for some in combinations(others, size):
                total += weight * (value(frozenset((*some, one))) - value(frozenset(some)))
        result.append(total)
    return result


def sampled(count: int, value: Callable[[Coalition], float], seed: int) -> list[float]:
    """Return each member's mean marginal value, over orders of joining drawn by the seed."""
    generator = np.random.default_rng(seed)
    orders = max(2, FEDERATIONS // count)
    result = np.zeros(count)
    for _ in range(orders):
        members: Coalition = frozenset()
        for one in generator.permutation(count).tolist():
            joined = members | {one}
            result[one] += (value(joined) - value(members)) / orders
            members = joined
    return result.tolist()

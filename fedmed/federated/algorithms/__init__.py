"""Federated algorithms, one a file; `--algorithm` and the shared tests follow this table."""

from __future__ import annotations

from fedmed.federated.algorithm import Algorithm
from fedmed.federated.algorithms.class_means import ClassMeans
from fedmed.federated.algorithms.fedadam import FedAdam
from fedmed.federated.algorithms.fedavg import FedAvg
from fedmed.federated.algorithms.fedavgm import FedAvgM
from fedmed.federated.algorithms.fedprox import FedProx
from fedmed.federated.algorithms.fedyogi import FedYogi
from fedmed.federated.algorithms.lda import Lda
from fedmed.federated.algorithms.newton import Newton
from fedmed.federated.algorithms.ridge import Ridge
from fedmed.federated.algorithms.robust import Krum, Median, TrimmedMean
from fedmed.federated.algorithms.scaffold import Scaffold

_KINDS: tuple[type[Algorithm], ...] = (
    FedAvg,
    FedProx,
    Scaffold,
    FedAvgM,
    FedAdam,
    FedYogi,
    Median,
    TrimmedMean,
    Krum,
    ClassMeans,
    Ridge,
    Lda,
    Newton,
)
ALGORITHMS: dict[str, type[Algorithm]] = {kind.name: kind for kind in _KINDS}
# Whole networks are there after a few rounds: with the momentum of heads, which have dozens, most
# of the way would be old motion.
OF_NETWORKS: dict[str, dict[str, float]] = {FedAvgM.name: {"momentum": 0.3}}


def make_algorithm(name: str, *, networks: bool = False) -> Algorithm:
    """Return the algorithm of that name, with the settings for heads or for whole networks."""
    return ALGORITHMS[name](**OF_NETWORKS.get(name, {}) if networks else {})

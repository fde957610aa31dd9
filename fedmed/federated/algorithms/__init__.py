"""Federated algorithms, one a file; `--algorithm` and the shared tests follow this table."""

from __future__ import annotations

from fedmed.federated.algorithm import Algorithm
from fedmed.federated.algorithms.fedadam import FedAdam
from fedmed.federated.algorithms.fedavg import FedAvg
from fedmed.federated.algorithms.fedprox import FedProx

ALGORITHMS: dict[str, type[Algorithm]] = {kind.name: kind for kind in (FedAvg, FedProx, FedAdam)}

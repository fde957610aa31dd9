"""A small study, for the tests of whatever reads one."""

from __future__ import annotations

import copy
from typing import Any

SEEDS = [42, 43, 44]
JITTER = (-0.002, 0.001, 0.001)


def cell(
    algorithm: str, auc: float, *, partition: str = "label-skew", wide: float = 0.0, **more: Any
) -> dict[str, Any]:
    """A federation of three seeds; `wide` moves its scores apart, against all others'."""
    scores = [auc + moved + wide * (n - 1) for n, moved in enumerate(JITTER)]
    fields = {
        "algorithm": algorithm, "partition": partition, "alpha": None, "epsilon": None,
        "format": "fp32", "poison": None, "seeds": [*SEEDS], "bytes": 840_000, "rounds": 20,
    } | more  # fmt: skip
    for name in ("auc", "balanced_accuracy", "shifted_auc", "shifted_balanced_accuracy"):
        fields[name] = [*scores]
    return fields


def example_study() -> dict[str, Any]:
    """Three seeds of a few federations, and two hospitals: one gains and gives, one does not."""
    return {
        "method": "every federation once with each seed",
        "seeds": [*SEEDS],
        "hospitals": 2,
        "rounds": 20,
        "local_epochs": 3,
        "partition": "label-skew",
        "n": 120,
        "cells": [
            cell("fedavg", 0.90),
            cell("fedavg", 0.90, format="int8", bytes=240_000),
            cell("fedavg", 0.93, partition="iid"),
            cell("fedavg", 0.91, partition="dirichlet", alpha=0.1),
            cell("fedavg", 0.88, epsilon=1.0),
            cell("fedavg", 0.70, partition="iid", poison="sign-flip"),
            cell("median", 0.93, partition="iid"),
            cell("median", 0.93, partition="iid", poison="sign-flip"),
        ],
        "by_hospital": {
            "hospital_1": {
                "alone": [0.80, 0.81, 0.80], "federated": [0.90, 0.90, 0.90],
                "contribution": [0.30, 0.31, 0.30],
            },
            "hospital_2": {
                "alone": [0.95, 0.95, 0.96], "federated": [0.90, 0.90, 0.90],
                "contribution": [0.10, 0.11, 0.10],
            },
        },
        "seconds": 12.0,
    }  # fmt: skip


def with_cells(*changed: Any) -> dict[str, Any]:
    """The example with cells added, in place of those that are alike but for their scores."""
    keys = ("algorithm", "partition", "alpha", "epsilon", "format", "poison")
    made = copy.deepcopy(example_study())
    of_new = [[one[key] for key in keys] for one in changed]
    made["cells"] = [c for c in made["cells"] if [c[k] for k in keys] not in of_new] + [*changed]
    return made

"""A federation of drawn sites as the tests of the algorithms need it, and how models differ."""

from __future__ import annotations

from collections.abc import Sequence

from fedmed.federated.algorithm import Algorithm
from fedmed.federated.channel import Channel
from fedmed.federated.rounds import federate
from fedmed.federated.state import State
from fedmed.training.local_training import Site
from fedmed.training.tensors import Tensors
from tests.support.sites import OPTIMISATION, zero_head


def run(
    sites: Sequence[Site], algorithm: Algorithm, format: str = "fp32", rounds: int = 3, **more
) -> State:
    options = {"local_epochs": 2, "optimisation": OPTIMISATION, "seed": 42} | more
    width = sites[0].epoch(0).shape[1]
    return federate(
        sites,
        algorithm=algorithm,
        model=zero_head(width),
        rounds=rounds,
        **({"channel": Channel.of(format)} | options),
    )


def apart(a: Tensors, b: Tensors) -> float:
    """The largest difference of two models."""
    assert a.keys() == b.keys()
    return max(float((a[name] - b[name]).abs().max()) for name in a)

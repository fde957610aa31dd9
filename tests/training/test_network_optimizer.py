"""Steps along gradients: those of PyTorch's own classes, bit by bit, without what they import."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from fedmed.training.network_optimizer import NetworkOptimizer
from fedmed.training.optimizer import Optimisation


def trained(steps: int, make) -> list[torch.Tensor]:
    chance = torch.Generator().manual_seed(0)
    learned = [
        nn.Parameter(torch.randn(3, 4, generator=chance)),
        nn.Parameter(torch.randn(7, generator=chance)),
    ]
    step = make(learned)
    for number in range(steps):
        for tensor in learned:
            tensor.grad = torch.randn(tensor.shape, generator=chance)
        step(1e-2 / (1 + number))
    return [tensor.detach() for tensor in learned]


def of_pytorch(kind, **options):
    def make(learned):
        optimizer = kind(learned, weight_decay=0.02, **options)

        def step(length: float) -> None:
            optimizer.param_groups[0]["lr"] = length
            optimizer.step()

        return step

    return make


@pytest.mark.parametrize(
    ("rule", "theirs"),
    [("adam", of_pytorch(torch.optim.AdamW, fused=True)), ("sgd", of_pytorch(torch.optim.SGD))],
)
def test_steps_are_pytorchs(rule, theirs) -> None:
    optimisation = Optimisation(rule=rule, weight_decay=0.02)
    ours = trained(5, lambda learned: NetworkOptimizer(learned, optimisation).step)
    for one, other in zip(ours, trained(5, theirs), strict=True):
        assert torch.equal(one, other)


def test_gradients_are_forgotten() -> None:
    learned = nn.Parameter(torch.ones(2))
    learned.grad = torch.ones(2)
    NetworkOptimizer([learned], Optimisation()).step(0.1)
    assert learned.grad is None


def test_no_compiler_is_imported_for_them() -> None:
    code = """
import sys
import torch
from fedmed.training.network_optimizer import NetworkOptimizer
from fedmed.training.optimizer import Optimisation

for rule in ("adam", "sgd"):
    learned = torch.nn.Parameter(torch.ones(2))
    learned.grad = torch.ones(2)
    NetworkOptimizer([learned], Optimisation(rule=rule)).step(0.1)
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)

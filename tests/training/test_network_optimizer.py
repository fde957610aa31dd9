"""Steps along gradients: those of PyTorch's own classes, bit by bit, without what they import."""

from __future__ import annotations

import subprocess
import sys

import torch
from torch import nn

from fedmed.training.network_optimizer import AdamW


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


def of_pytorch(learned):
    optimizer = torch.optim.AdamW(learned, weight_decay=0.02, fused=True)

    def step(length: float) -> None:
        optimizer.param_groups[0]["lr"] = length
        optimizer.step()

    return step


def test_steps_are_pytorchs() -> None:
    ours = trained(5, lambda learned: AdamW(learned, 0.02).step)
    theirs = trained(5, of_pytorch)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one, other)


def test_gradients_are_forgotten() -> None:
    learned = nn.Parameter(torch.ones(2))
    learned.grad = torch.ones(2)
    AdamW([learned], 0.0).step(0.1)
    assert learned.grad is None


def test_no_compiler_is_imported_for_them() -> None:
    code = """
import sys
import torch
from fedmed.training.network_optimizer import AdamW

learned = torch.nn.Parameter(torch.ones(2))
learned.grad = torch.ones(2)
AdamW([learned], 0.0).step(0.1)
assert learned[0] < 1 and "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)

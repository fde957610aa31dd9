"""A convolution as a product of matrices is a convolution."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fedmed.training.convolution import Convolution

LAST = torch.channels_last


def both(inputs: torch.Tensor, stride: int, bf16: bool = False) -> list[list[torch.Tensor]]:
    """The maps and the gradients of inputs and weights, of ours and of PyTorch's."""
    torch.manual_seed(0)
    ours = Convolution(8, 6, 3, stride=stride, padding=1, bias=False).to(memory_format=LAST)
    plain = nn.Conv2d(8, 6, 3, stride=stride, padding=1, bias=False).to(memory_format=LAST)
    plain.load_state_dict(ours.state_dict())
    found = []
    for layer in (ours, plain):
        given = inputs.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            maps = layer(given)
        (maps.float() * torch.arange(maps.numel()).reshape(maps.shape).cos()).sum().backward()
        assert given.grad is not None and layer.weight.grad is not None
        found.append([maps, given.grad, layer.weight.grad])
    return found


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [(1, 1), (2, 2), (5, 4), (4, 5)])
def test_it_makes_the_same_maps_and_gradients(side, stride) -> None:
    inputs = torch.randn(3, 8, *side).to(memory_format=LAST)
    ours, plain = both(inputs, stride)
    assert type(ours[0].grad_fn) is not type(plain[0].grad_fn), "PyTorch's own were compared"
    for mine, wanted in zip(ours, plain, strict=True):
        assert mine.shape == wanted.shape
        torch.testing.assert_close(mine, wanted, rtol=1e-4, atol=1e-5)


def test_under_autocast_too_and_gradients_are_single() -> None:
    ours, plain = both(torch.randn(3, 8, 4, 4).to(memory_format=LAST), 1, bf16=True)
    for mine, wanted in zip(ours, plain, strict=True):
        assert mine.dtype == wanted.dtype
        torch.testing.assert_close(mine.float(), wanted.float(), rtol=0.05, atol=0.1)
    assert ours[0].dtype == torch.bfloat16 and ours[2].dtype == torch.float32


def test_large_maps_and_other_kernels_are_pytorchs_own() -> None:
    large = torch.randn(1, 8, 16, 16, requires_grad=True)
    for layer, inputs in (
        (Convolution(8, 6, 3, padding=1), large),
        (Convolution(8, 6, 1), torch.randn(1, 8, 2, 2)),
    ):
        assert "Convolution" in type(layer(inputs).grad_fn).__name__


def test_weights_that_stay_cost_no_gradient() -> None:
    layer = Convolution(8, 6, 3, padding=1, bias=False).requires_grad_(False)
    inputs = torch.randn(1, 8, 2, 2, requires_grad=True)
    layer(inputs).sum().backward()
    assert layer.weight.grad is None and inputs.grad is not None

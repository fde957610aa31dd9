"""Weights are asked whether they are finite by their sum, which may overflow."""

from __future__ import annotations

import pytest
import torch

from fedmed.backbones.weights import is_finite


@pytest.mark.parametrize("bad", [torch.inf, -torch.inf, torch.nan])
def test_one_number_that_is_not_finite_is_noticed(bad: float) -> None:
    numbers = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    assert is_finite(numbers)
    numbers[7] = bad
    assert not is_finite(numbers) and not is_finite(numbers.half())
    numbers[9] = -bad
    assert not is_finite(numbers)


def test_large_numbers_are_finite_though_their_sum_is_not() -> None:
    large = torch.full((10,), 3e38)
    assert not large.sum().isfinite()
    assert is_finite(large)

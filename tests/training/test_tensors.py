"""Sums, groups and rows of named tensors."""

from __future__ import annotations

import pytest
import torch

from fedmed.training.tensors import add, all_finite, group, join, pick, repeat, subtract, under

ONE = {"weight": torch.tensor([[1.0, 2.0]]), "bias": torch.tensor([3.0])}


def test_several_lie_along_the_first_axis() -> None:
    three = repeat(ONE, 3)
    assert three["weight"].shape == (3, 1, 2)
    assert all(torch.equal(pick(three, -1)[name], ONE[name]) for name in ONE)
    assert join([three, repeat(ONE, 2)])["bias"].tolist() == [[3.0]] * 5


def test_sums_and_differences_go_by_name() -> None:
    three = repeat(ONE, 3)
    other_order = dict(reversed(ONE.items()))
    assert not any(tensor.any() for tensor in subtract(three, other_order).values())
    assert add(ONE, other_order)["bias"].tolist() == [6.0]


def test_a_group_is_found_again_beside_others() -> None:
    kept = {**under("mean", ONE), **under("means", {"bias": torch.zeros(1)})}
    assert list(kept) == ["mean/weight", "mean/bias", "means/bias"]
    assert group(kept, "mean") == ONE and list(group(kept, "means")) == ["bias"]
    assert group(kept, "mea") == {}


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -float("inf")])
def test_one_number_that_is_none_is_noticed(odd: float) -> None:
    tensors = {"weight": torch.ones(3, 5), "bias": torch.tensor([1.0, odd, -odd])}
    assert not all_finite(tensors) and not all_finite({"halves": tensors["bias"].half()})


def test_numbers_whose_sum_is_too_large_are_finite() -> None:
    large = {"floats": torch.full((9,), 3e38), "halves": torch.full((9,), 6e4).half()}
    assert all_finite(large) and all_finite({"counts": torch.tensor([2**62] * 4)})
    assert all_finite({}) and all_finite({"none": torch.zeros(0)})

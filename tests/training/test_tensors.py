"""Sums, groups and rows of named tensors."""

from __future__ import annotations

import torch

from fedmed.training.tensors import add, group, join, pick, repeat, subtract, under

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

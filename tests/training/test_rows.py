"""Rows of a closed form: every view in its share, weighed as in the loss."""

from __future__ import annotations

import torch

from fedmed.training.optimizer import Optimisation
from fedmed.training.rows import direction_of, head_of, rows
from tests.support.sites import CloudSite


class Viewed(CloudSite):
    def every_view(self):
        yield 0.75, self.features
        yield 0.25, -self.features


def test_every_view_counts_its_share() -> None:
    site = Viewed("a", 3, 5, 4)
    first, second = rows(site, Optimisation(class_weights=(2.0, 0.5)))
    assert torch.equal(second.features[:, :-1], -first.features[:, :-1])
    assert bool((first.features[:, -1] == 1).all()) and first.features.dtype == torch.float64
    expected = torch.tensor([2.0] * 3 + [0.5] * 5, dtype=torch.float64) / 8
    assert torch.allclose(first.weights, 0.75 * expected)
    assert torch.allclose(first.weights + second.weights, expected)


def test_where_views_are_not_told_the_first_epoch_is_taken() -> None:
    site = CloudSite("a", 2, 2, 4)
    (only,) = rows(site, Optimisation())
    assert site.asked == [0] and abs(float(only.weights.sum()) - 1) < 1e-12


def test_a_head_and_its_direction_are_each_others() -> None:
    direction = torch.randn(6, dtype=torch.float64)
    head = head_of(direction)
    assert head["weight"].shape == (2, 5) and head["weight"].dtype == torch.float32
    assert torch.allclose(direction_of(head["weight"], head["bias"]), direction, atol=1e-6)
    x = torch.randn(5)
    logits = head["weight"] @ x + head["bias"]
    odds = direction[:-1].float() @ x + direction[-1].float()
    assert torch.allclose(logits[1] - logits[0], odds, atol=1e-5)

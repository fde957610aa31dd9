"""Logistic regression: derivatives against autograd, the optimum against its gradient."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from fedmed.training.logistic import curvature, losses, optimum, penalised
from fedmed.training.optimizer import Optimisation
from fedmed.training.rows import head_of, rows
from tests.support.sites import CloudSite

SITE = CloudSite("a", 60, 30, 6)
WEIGHTED = Optimisation(class_weights=(0.7, 1.6))


def loss(theta: torch.Tensor, l2: float) -> torch.Tensor:
    """As torch writes it: cross-entropy of two logits, weighted by class, and the penalty."""
    packed = torch.stack([-theta / 2, theta / 2])
    logits = SITE.features.double() @ packed[:, :-1].T + packed[:, -1]
    weights = torch.tensor(WEIGHTED.class_weights).double()
    each = functional.cross_entropy(logits, SITE.labels, weights, reduction="none")
    return each.mean() + l2 / 2 * theta[:-1].square().sum()


def test_loss_gradient_and_hessian_are_autograds() -> None:
    theta = torch.randn(7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    at = penalised(theta, curvature(theta, list(rows(SITE, WEIGHTED))), 0.3)
    gradient = torch.autograd.functional.jacobian(lambda t: loss(t, 0.3), theta)
    hessian = torch.autograd.functional.hessian(lambda t: loss(t, 0.3), theta)
    assert torch.allclose(at.loss, loss(theta, 0.3))
    assert torch.allclose(at.gradient, gradient) and torch.allclose(at.hessian, hessian)
    assert torch.allclose(losses(theta[None], list(rows(SITE, WEIGHTED)), 0.3)[0], at.loss)


@pytest.mark.parametrize("l2", [1e-4, 0.01, 1.0])
def test_nothing_is_lower_than_the_optimum(l2: float) -> None:
    data = list(rows(SITE, WEIGHTED))
    best = optimum(data, l2)
    assert penalised(best, curvature(best, data), l2).gradient.norm() < 1e-8
    around = best + 0.01 * torch.randn(50, 7, dtype=torch.float64)
    assert bool((losses(around, data, l2) > losses(best[None], data, l2)).all())


def test_the_scores_behind_the_loss_are_the_heads() -> None:
    best = optimum(list(rows(SITE, WEIGHTED)), 0.01)
    head = head_of(best)
    logits = SITE.features @ head["weight"].T + head["bias"]
    assert float(((logits[:, 1] > logits[:, 0]).long() == SITE.labels).float().mean()) > 0.85

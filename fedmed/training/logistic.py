"""Logistic regression with an L2 penalty: its loss, gradient and Hessian, and its exact optimum.

The loss is that of local training over every view, plus L2 / 2 times the squared length of the
difference of the two classes' weights; the bias is free. With a penalty there is one optimum.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from fedmed.training.rows import Rows

L2 = 0.01
ARMIJO = 1e-4  # of the fall that the slope promises, so much must come
ROUNDING = 1e-13  # a loss that is no lower by less than this may still be


class Curvature(NamedTuple):
    """A loss at one point, without the penalty; float64."""

    loss: Tensor  # []
    gradient: Tensor  # [D]
    hessian: Tensor  # [D, D]


def curvature(theta: Tensor, rows: Iterable[Rows], *, exact: bool = True) -> Curvature:
    """Return the loss, gradient and Hessian at `theta` [D].

    With `exact` False the Hessian is summed in float32: a tenth of the time, and Newton's steps
    still end where the gradient, which is exact, says.
    """
    loss, gradient = torch.zeros((), dtype=torch.float64), torch.zeros_like(theta)
    hessian = torch.zeros(len(theta), len(theta), dtype=torch.float64)
    for features, labels, weights in rows:
        scores = features @ theta
        probabilities = scores.sigmoid()
        loss += weights @ functional.softplus(torch.where(labels == 1, -scores, scores))
        gradient += features.T @ (weights * (probabilities - labels))
        scaled = features * (weights * probabilities * (1 - probabilities)).sqrt()[:, None]
        scaled = scaled if exact else scaled.float()
        hessian += scaled.T @ scaled
    return Curvature(loss, gradient, hessian)


def penalised(theta: Tensor, at: Curvature, l2: float) -> Curvature:
    """Add the penalty."""
    free = torch.ones_like(theta)
    free[-1] = 0
    return Curvature(
        at.loss + l2 / 2 * (free * theta**2).sum(),
        at.gradient + l2 * free * theta,
        at.hessian + l2 * free.diag(),
    )


def losses(directions: Tensor, rows: Iterable[Rows], l2: float = L2) -> Tensor:
    """Return the penalised loss of M heads, given as `direction_of` gives them: [M, D] -> [M]."""
    total = l2 / 2 * directions[:, :-1].square().sum(1)
    for features, labels, weights in rows:
        scores = features @ directions.T
        wrong = torch.where(labels[:, None] == 1, -scores, scores)
        total = total + weights @ functional.softplus(wrong)
    return total


def newton_step(at: Curvature) -> Tensor:
    """Return the step to the minimum of the parabola that fits at a point: [D]."""
    return -torch.linalg.solve(at.hessian, at.gradient)


def falls_enough(loss: Tensor, before: Tensor, slope: Tensor) -> Tensor:
    """Tell whether a step lowers the loss by a share of what its slope promised (Armijo)."""
    return loss <= before + ARMIJO * slope + ROUNDING


def optimum(rows: Iterable[Rows], l2: float = L2, *, tolerance: float = 1e-9) -> Tensor:
    """Return the exact minimum, by Newton's method with halved steps, from zero: [D].

    `rows` are gone through many times.
    """
    theta = torch.zeros(next(iter(rows)).features.shape[1], dtype=torch.float64)
    for _ in range(100):
        at = penalised(theta, curvature(theta, rows, exact=False), l2)
        if at.gradient.norm() <= tolerance:
            break
        step = newton_step(at)
        slope, size = at.gradient @ step, 1.0
        while size > 1e-6 and not falls_enough(
            losses((theta + size * step)[None], rows, l2)[0], at.loss, size * slope
        ):
            size /= 2
        theta = theta + size * step
    return theta

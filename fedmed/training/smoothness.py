"""How long a step of gradient descent may be on a site's own loss."""

from __future__ import annotations

import torch
from torch import Tensor

from fedmed.training.local_training import Site, image_weights
from fedmed.training.optimizer import Optimisation

POWER_STEPS = 30


def steps_for(site: Site, optimisation: Optimisation) -> float:
    """Return 1 / (2 L), where L is the expected smoothness of the site's loss in mini-batches.

    Gower, Loizou, Qian, Sailanbayev, Shulgin, Richtárik: SGD: General Analysis and Improved Rates,
    ICML 2019, arXiv:1901.09401, Proposition 3.8: between the curvature of the whole loss, where a
    batch is all n images, and that of the worst image, where it is one. The curvature of softmax
    regression on two classes is at most half that of x x', weighted.
    """
    view = site.epoch(0)
    features = torch.cat([view, torch.ones(len(view), 1)], 1)
    weights = image_weights(site.labels, optimisation)
    count, size = len(features), min(optimisation.batch_size, len(features))
    whole = _largest(features * (weights / weights.sum()).sqrt()[:, None]) / 2
    worst = float((weights * count / weights.sum() * features.square().sum(1)).max()) / 2
    if count > 1:
        part = (count - size) / (size * (count - 1))
        whole = (1 - part) * whole + part * worst
    return 1 / (2 * (whole + optimisation.weight_decay))


def _largest(rows: Tensor) -> float:
    """Return the largest eigenvalue of rows' rows, by the power method."""
    vector = rows.sum(0)
    for _ in range(POWER_STEPS):
        vector = rows.T @ (rows @ (vector / vector.norm().clamp_min(1e-30)))
    return float(vector.norm())

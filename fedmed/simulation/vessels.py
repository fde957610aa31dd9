"""Branching trees in the lungs: vessels, and the bronchi that show as dark lines in disease."""

from __future__ import annotations

import numpy as np

from .canvas import Tube

STEPS = 24  # points on a branch

Layer = tuple[list[Tube], float, float]


def tree(rng: np.random.Generator, side: int, depth: int = 8, radius: float = 0.037) -> list[Layer]:
    """A hilum's tree as layers by radius, the thickest first; side is -1 (right) or +1."""
    angle = np.array([-1.25, -0.65, -0.1, 0.4, 0.85, 1.25]) + rng.normal(0, 0.15, 6)
    x = np.full(6, side * rng.uniform(0.2, 0.25))
    y = np.full(6, rng.uniform(0.70, 0.82) - (0.04 if side > 0 else 0))
    s = np.linspace(0, 1, STEPS)
    layers: list[Layer] = []
    for generation in range(depth):
        span = 0.27 * 0.84**generation * rng.uniform(0.7, 1.25, x.size)
        bend = rng.normal(0, 0.25, x.size)
        heading = angle[:, None] + bend[:, None] * s
        px = x[:, None] + side * np.cumsum(np.cos(heading), 1) * span[:, None] / STEPS
        py = y[:, None] + np.cumsum(np.sin(heading), 1) * span[:, None] / STEPS
        points = np.stack([px.ravel(), py.ravel()], 1)
        layers.append(
            ([Tube(points, np.repeat(span / STEPS, STEPS))], radius * 0.75**generation, 0.0)
        )
        fork = rng.uniform(0.2, 0.55, x.size)
        turns = np.stack([fork, -fork * rng.uniform(0.5, 1.3, x.size)])
        alive = rng.random(turns.shape) < 0.94 - 0.03 * generation
        x, y = (np.broadcast_to(v[:, -1], turns.shape)[alive] for v in (px, py))
        angle = (angle + bend + turns)[alive]
    return layers


def trees(rng: np.random.Generator, depth: int = 8, radius: float = 0.037) -> list[Layer]:
    """Both lungs' trees, layers of one radius merged."""
    right, left = tree(rng, -1, depth, radius), tree(rng, +1, depth, radius)
    return [(a[0] + b[0], a[1], 0.0) for a, b in zip(right, left, strict=True)]

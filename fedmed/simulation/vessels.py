"""Branching trees in the lungs: vessels, and the bronchi that show as dark lines in disease."""

from __future__ import annotations

import numpy as np

from .anatomy import Body
from .canvas import Tube

Layer = tuple[list[Tube], float, float]


def tree(body: Body, rng: np.random.Generator, side: int, depth: int = 7, radius: float = 0.05) -> list[Layer]:
    """A hilum's tree as layers by radius, the thickest first; side is -1 (right) or +1."""
    root = (side * rng.uniform(0.2, 0.25), rng.uniform(0.60, 0.68) + (0.0 if side < 0 else -0.04))
    level = []
    for angle in (-1.25, -0.65, -0.1, 0.4, 0.85, 1.25):
        level.append((*root, angle + rng.normal(0, 0.15)))
    layers: list[Layer] = []
    s = np.linspace(0, 1, 24)
    for generation in range(depth):
        tubes, following = [], []
        for x, y, angle in level:
            span = 0.27 * 0.84**generation * rng.uniform(0.7, 1.25)
            bend = rng.normal(0, 0.25)
            heading = angle + bend * s
            px = x + side * np.cumsum(np.cos(heading)) * span / s.size
            py = y + np.cumsum(np.sin(heading)) * span / s.size
            tubes.append(Tube.along(px, py))
            fork = rng.uniform(0.2, 0.55)
            for turn in (fork, -fork * rng.uniform(0.5, 1.3)):
                if rng.random() < 0.9 - 0.04 * generation:
                    following.append((float(px[-1]), float(py[-1]), angle + bend + turn))
        layers.append((tubes, radius * 0.72**generation, 0.0))
        level = following
    return layers


def vessels(body: Body, rng: np.random.Generator) -> list[Layer]:
    """Both lungs' vessels, layers of one radius merged."""
    right, left = tree(body, rng, -1), tree(body, rng, +1)
    return [(a[0] + b[0], a[1], 0.0) for a, b in zip(right, left, strict=True)]

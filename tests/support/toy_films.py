"""Toy films, and features that go with them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def films(count: int, seed: int) -> np.ndarray:
    """Toy films: two dark lungs in a bright chest, of varying width, exposure and grain."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[-1:1:224j, -1:1:224j]
    drawn = []
    for _ in range(count):
        wide, high, contrast = generator.uniform([0.2, 0.4, 60], [0.3, 0.6, 120])
        lungs = [
            np.exp(-(((x - side) / wide) ** 4) - ((y + 0.2) / high) ** 4) for side in (-0.4, 0.4)
        ]
        film = generator.uniform(150, 200) + 25 * y - contrast * np.maximum(*lungs)
        drawn.append(film + generator.normal(0, 3, film.shape))
    return np.clip(drawn, 0, 255).astype(np.uint8)


def features(count: int, seed: int) -> Tensor:
    """Features whose roots vary along 20 directions, and a little along all."""
    directions = torch.randn(20, 512, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(count, 20, generator=generator) @ directions
    roots = 20 + points + 0.1 * torch.randn(count, 512, generator=generator)
    return roots.clamp_min(0).square()

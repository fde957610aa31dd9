"""The coarse layout of dark and bright in a picture: where the lungs, the heart and the belly lie.

No network sees it, so it is the same under every snapshot, and turning a picture turns it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from fedmed.imaging.augmentation import DEGRADE_DRAWS, degrade

GRID = 14  # the layout has GRID x GRID cells


def layout(grey: Tensor) -> Tensor:
    """The coarse layout [n, GRID²] of images [n, 1, h, w] in 0..1, whatever their exposure."""
    cells = F.adaptive_avg_pool2d(grey, GRID).flatten(1)
    contrast = cells.std(1, keepdim=True) + 0.03  # or a flat picture's noise would be its layout
    return (cells - cells.mean(1, keepdim=True)) / contrast


def degraded(grey: Tensor, seed: int = 0) -> Tensor:
    """One degraded view of each image, small: photographs of films are to pass."""
    small = F.interpolate(grey, 4 * GRID, mode="area")
    generator = torch.Generator().manual_seed(seed)
    draws = torch.rand(len(small), DEGRADE_DRAWS, generator=generator)
    return degrade(small, draws, torch.randn(small.shape, generator=generator))


def turned(layouts: Tensor, quarters: int, mirrored: bool = False) -> Tensor:
    """Layouts [n, GRID²] as if the pictures were mirrored, then turned by quarters to the left."""
    cells = layouts.unflatten(1, (GRID, GRID))
    return torch.rot90(cells.flip(2) if mirrored else cells, quarters, (1, 2)).flatten(1)

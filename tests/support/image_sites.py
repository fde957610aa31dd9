"""Hospitals whose X-rays are simulated and small, and a network of random weights to train."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from fedmed.imaging.preprocessing import to_grey
from fedmed.simulation import simulate
from fedmed.training.network import PIXELS, ImageSite, Regime
from fedmed.training.optimizer import Optimisation
from fedmed.training.tensors import Tensors

SIZE = 64
OPTIMISATION = Optimisation(1e-3, batch_size=8, class_weights=(1.0, 1.0), weight_decay=0.02)
REGIME = Regime(size=SIZE, total_epochs=2)


def image_sites(folder: Path, counts: Sequence[int]) -> list[ImageSite]:
    """Hospitals of so many X-rays, half of each class; their pixels in a file in `folder`."""
    total = sum(counts)
    labels = torch.arange(total) % 2
    file = folder / "pixels.safetensors"
    pixels = np.stack([_film(n, int(label)) for n, label in enumerate(labels)])
    save_file({PIXELS: torch.from_numpy(pixels)}, file)
    digests = [hashlib.sha256(film.tobytes()).hexdigest() for film in pixels]
    sites, first = [], 0
    for number, count in enumerate(counts, start=1):
        rows = np.arange(first, first + count)
        own = tuple(digests[row] for row in rows)
        sites.append(ImageSite(f"hospital_{number}", labels[rows], own, file, rows))
        first += count
    return sites


@cache
def _film(patient: int, label: int) -> np.ndarray:
    return simulate(patient, label, size=SIZE).pixels


def random_network(seed: int = 0) -> Tensors:
    """A backbone of random weights whose normalisation fits pictures, and a head of zeros."""
    from tests.support.snapshots import random_backbone

    head = {"fc.weight": torch.zeros(2, 512), "fc.bias": torch.zeros(2)}
    return {**random_backbone(seed).state, **head}


def equal(a: Tensors, b: Tensors) -> bool:
    """Whether both have the same names and bits."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def apart(a: Tensors, b: Tensors) -> float:
    """The largest difference of any number."""
    assert a.keys() == b.keys()
    return max(float((a[name] - b[name]).abs().max()) for name in a)


def greys(site: ImageSite) -> torch.Tensor:
    """A site's X-rays as they are: [n, 1, S, S]."""
    return to_grey(site.pixels()[torch.from_numpy(site.rows)].numpy())

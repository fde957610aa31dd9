"""Hospitals whose features are drawn: two clouds, one for each class."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fedmed.training.heads import Heads, new_heads, probabilities
from fedmed.training.optimizer import Optimisation
from fedmed.training.tensors import Tensors, pick

OPTIMISATION = Optimisation(learning_rate=3e-3, batch_size=32)


@dataclass
class CloudSite:
    """Two clouds 3 standard deviations apart: the best possible accuracy is 93 %."""

    name: str
    normal: int
    pneumonia: int
    width: int = 512

    def __post_init__(self) -> None:
        self.asked: list[int] = []
        self.labels = torch.tensor([0] * self.normal + [1] * self.pneumonia)
        direction = torch.randn(self.width, generator=torch.Generator().manual_seed(0))
        generator = torch.Generator().manual_seed(sum(map(ord, self.name)))
        noise = torch.randn(len(self.labels), self.width, generator=generator)
        self.features = noise + 3 * (self.labels[:, None] - 0.5) * direction / self.width**0.5

    def epoch(self, number: int) -> Tensor:
        self.asked.append(number)
        return self.features


def iid(width: int = 512) -> list[CloudSite]:
    """Five hospitals of the same size and mix."""
    return [CloudSite(f"hospital_{i}", 150, 150, width) for i in range(1, 6)]


def skewed(width: int = 512) -> list[CloudSite]:
    """Five hospitals from nearly all PNEUMONIA to nearly all NORMAL."""
    mixes = [(20, 400), (30, 200), (60, 100), (120, 50), (240, 25)]
    return [CloudSite(f"hospital_{i}", *mix, width) for i, mix in enumerate(mixes, 1)]


def pooled(sites: list[CloudSite]) -> CloudSite:
    """All hospitals' images in one place."""
    everyone = CloudSite("everyone", 0, 0)
    everyone.labels = torch.cat([site.labels for site in sites])
    everyone.features = torch.cat([site.features for site in sites])
    return everyone


def zero_head(width: int = 512) -> Tensors:
    """The head that a federation starts from."""
    return pick(new_heads(1, width).tensors(), 0)


def accuracy(model: Tensors | Heads) -> float:
    """On 4,000 images that nobody trained on."""
    head = model if isinstance(model, Heads) else Heads.of(model)
    unseen = CloudSite("unseen", 2000, 2000, head.weight.shape[2])
    called = probabilities(head, unseen.features)[0] > 0.5
    return float((called == unseen.labels.bool()).float().mean())

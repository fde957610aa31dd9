"""A head trained on features; many heads at once, each on its own hospital's features.

A head is softmax regression: the last layer of ResNet18, the only one trained. Heads of several
hospitals advance together as one batched matrix product. Central training is the case of one site.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from fedmed.facts import CLASSES, FEATURES

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # Adam's, as Kingma & Ba recommend


class Heads(NamedTuple):
    """H heads, one model each; float32."""

    weight: Tensor  # [H, 2, 512]
    bias: Tensor  # [H, 2]


class Site(Protocol):
    """Where X-rays are kept: a hospital, or all of them put together."""

    @property
    def name(self) -> str:
        """Sets the order in which the images are shuffled; different for different hospitals."""

    @property
    def labels(self) -> Tensor:
        """The class of each image: [n] int64."""

    def epoch(self, number: int) -> Tensor:
        """Features of one augmented view of each image: [n, 512]; the epoch sets which view."""


@dataclass(frozen=True)
class Optimisation:
    learning_rate: float = 1e-3
    batch_size: int = 64
    class_weights: tuple[float, float] = (1.0, 1.0)
    weight_decay: float = 0.0  # an L2 penalty, as in torch.optim.Adam


def new_heads(count: int) -> Heads:
    """Zero heads: the problem is convex, so a random start would add noise and help nothing."""
    return Heads(torch.zeros(count, len(CLASSES), FEATURES), torch.zeros(count, len(CLASSES)))


def stack(heads: Sequence[Heads]) -> Heads:
    """Several Heads put together as one."""
    return Heads(torch.cat([h.weight for h in heads]), torch.cat([h.bias for h in heads]))


def unstack(heads: Heads) -> list[Heads]:
    """H heads as H Heads of one."""
    return [Heads(w, b) for w, b in zip(heads.weight.split(1), heads.bias.split(1), strict=True)]


def probabilities(heads: Heads, features: Tensor) -> Tensor:
    """P(PNEUMONIA) of n images under each of H heads: [n, 512] -> [H, n]."""
    logits = torch.einsum("nf,hcf->hnc", features, heads.weight) + heads.bias[:, None]
    return logits.softmax(2)[..., CLASSES.index("PNEUMONIA")]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep torch to one core: such small steps cost more to spread than to do.

    The bits of a result then do not depend on the number of cores either.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@torch.no_grad()
@_one_thread()
def train(
    heads: Heads, sites: Sequence[Site], epochs: range, settings: Optimisation, *, seed: int
) -> Heads:
    """Train head h on site h for the given epochs, all H together, and return the new heads.

    Minimises cross-entropy, weighted by class as torch's CrossEntropyLoss(weight=...) does, with
    Adam, which starts afresh at each call. But for rounding, a site's result does not depend on
    the other sites.
    """
    if len(heads.weight) != len(sites):
        raise ValueError(f"{len(heads.weight)} heads for {len(sites)} sites")
    parameters = torch.cat([heads.weight, heads.bias[..., None]], 2)
    adam = Adam(parameters, settings)
    class_weights = torch.tensor(settings.class_weights)
    for number in epochs:
        for batch in _batches(sites, number, settings.batch_size, seed):
            gradient = _gradient(parameters[batch.sites], batch, class_weights)
            adam.step(parameters, gradient, batch.sites)
    return Heads(parameters[..., :-1].contiguous(), parameters[..., -1].contiguous())


class Adam:
    """Adam (Kingma & Ba 2015), with moments and a step count for each head."""

    def __init__(self, parameters: Tensor, settings: Optimisation) -> None:
        self.settings = settings
        self.mean = torch.zeros_like(parameters)
        self.square = torch.zeros_like(parameters)
        # In float32, 1 - 0.999 is off by 5e-5.
        self.steps = torch.zeros(len(parameters), 1, 1, dtype=torch.float64)

    def step(self, parameters: Tensor, gradient: Tensor, sites: Tensor) -> None:
        """Move `parameters[sites]` in place; the other heads and their moments stay untouched."""
        gradient = gradient + self.settings.weight_decay * parameters[sites]
        steps = self.steps[sites] + 1
        mean = BETA1 * self.mean[sites] + (1 - BETA1) * gradient
        square = BETA2 * self.square[sites] + (1 - BETA2) * gradient**2
        self.steps[sites], self.mean[sites], self.square[sites] = steps, mean, square
        mean = mean / (1 - BETA1**steps).float()
        square = square / (1 - BETA2**steps).float()
        parameters[sites] -= self.settings.learning_rate * mean / (square.sqrt() + EPSILON)


class _Batch(NamedTuple):
    """The next batch of each of the A sites that have one, padded to B images."""

    sites: Tensor  # [A]
    features: Tensor  # [A, B, 512]
    labels: Tensor  # [A, B]
    real: Tensor  # [A, B], False where padded


def _batches(sites: Sequence[Site], number: int, size: int, seed: int) -> Iterator[_Batch]:
    """One epoch: every image once, in an order drawn anew; a small site runs out earlier."""
    views = [site.epoch(number) for site in sites]
    for site, view in zip(sites, views, strict=True):
        if view.shape != (len(site.labels), FEATURES):
            raise ValueError(f"{site.name}: features {list(view.shape)}, labels {len(site.labels)}")
    features = torch.cat(views)
    labels = torch.cat([site.labels for site in sites])
    counts = torch.tensor([len(view) for view in views])
    del views

    first = counts.cumsum(0) - counts
    steps = (counts + size - 1) // size
    # Padding repeats a site's own first image, so that no site ever touches another's features.
    rows = first[:, None].repeat(1, int(steps.max()) * size)
    for site, row, count in zip(sites, rows, counts.tolist(), strict=True):
        row[:count] += _order(seed, site.name, number, count)

    for step in range(int(steps.max())):
        active = (steps > step).nonzero()[:, 0]
        places = torch.arange(step * size, (step + 1) * size)
        chosen = rows[active[:, None], places]
        yield _Batch(active, features[chosen], labels[chosen], places < counts[active, None])


def _order(seed: int, site: str, epoch: int, count: int) -> Tensor:
    """A permutation of a site's images that depends on nothing but these arguments."""
    digest = hashlib.blake2b(f"{seed} {epoch} {site}".encode(), digest_size=8).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)
    return torch.randperm(count, generator=generator)


def _gradient(parameters: Tensor, batch: _Batch, class_weights: Tensor) -> Tensor:
    """Gradient of each site's weighted cross-entropy: [A, 2, 513], the bias last."""
    weight, bias = parameters[..., :-1], parameters[..., -1]
    share = class_weights[batch.labels] * batch.real
    share = share / share.sum(1, keepdim=True)
    predicted = torch.baddbmm(bias[:, None], batch.features, weight.transpose(1, 2)).softmax(2)
    error = (predicted - functional.one_hot(batch.labels, len(CLASSES))) * share[..., None]
    return torch.cat([error.transpose(1, 2) @ batch.features, error.sum(1)[..., None]], 2)

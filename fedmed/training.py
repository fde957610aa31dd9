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
GROUP_IMAGES = 512  # in one matrix product: 1 MB of features


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
    class_weights: tuple[float, float] | None = (1.0, 1.0)  # None: equal at every site, by its own
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
    # The largest site first: whoever still has a batch then lies in front, and neighbours' batches
    # are about the same size.
    counts = torch.tensor([len(site.labels) for site in sites])
    counts, ranks = counts.sort(descending=True, stable=True)
    sites = [sites[rank] for rank in ranks.tolist()]
    parameters = torch.cat([heads.weight, heads.bias[..., None]], 2)[ranks]
    adam = Adam(parameters, settings)
    labels = torch.cat([site.labels for site in sites])
    shares = torch.cat([_shares(site.labels, settings) for site in sites])
    groups = _groups(counts, settings.batch_size)
    features = torch.ones(len(labels), FEATURES + 1)  # the last is the bias's
    for number in epochs:
        order = _epoch(sites, number, seed, features[:, :-1])
        for some, places, real in groups:
            rows = order[places]
            share = shares[rows] * real
            share /= share.sum(1, keepdim=True)
            gradient = _gradient(parameters[some], features[rows], labels[rows], share)
            adam.step(parameters, gradient, some)
    parameters = parameters[ranks.argsort()]
    return Heads(parameters[..., :-1].contiguous(), parameters[..., -1].contiguous())


class Adam:
    """Adam (Kingma & Ba 2015), with moments and a step count for each head."""

    def __init__(self, parameters: Tensor, settings: Optimisation) -> None:
        self.settings = settings
        self.mean = torch.zeros_like(parameters)
        self.square = torch.zeros_like(parameters)
        # In float32, 1 - 0.999 is off by 5e-5.
        self.steps = torch.zeros(len(parameters), 1, 1, dtype=torch.float64)

    def step(self, parameters: Tensor, gradient: Tensor, some: slice) -> None:
        """Move `parameters[some]` in place; the other heads and their moments stay untouched."""
        parameters, steps = parameters[some], self.steps[some]
        mean, square = self.mean[some], self.square[some]
        gradient = gradient.add(parameters, alpha=self.settings.weight_decay)
        steps += 1
        mean.lerp_(gradient, 1 - BETA1)
        square.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
        length = self.settings.learning_rate / (1 - BETA1**steps)
        rms = (square / (1 - BETA2**steps).float()).sqrt_().add_(EPSILON)
        parameters.addcdiv_(mean, rms.div_(length.float()), value=-1)


class _Group(NamedTuple):
    """Neighbouring sites that take their next batch together, padded to B images."""

    sites: slice  # A of them
    places: Tensor  # [A, B] in the epoch's order of images
    real: Tensor  # [A, B], False where padded


def _groups(counts: Tensor, size: int) -> list[_Group]:
    """The steps of an epoch over sites of `counts` images, the largest first.

    A group is small enough for the processor's cache, and its smallest batch no less than half its
    largest, which bounds the padding however sizes differ.
    """
    first = counts.cumsum(0) - counts
    groups = []
    for step in range(0, int(counts[0]), size):
        batches = (counts - step).clamp(0, size).tolist()
        start = 0
        while start < len(batches) and (longest := batches[start]):
            stop = start + 1
            room = start + max(1, GROUP_IMAGES // longest)
            while stop < min(room, len(batches)) and 2 * batches[stop] >= longest:
                stop += 1
            places = step + torch.arange(longest).repeat(stop - start, 1)
            real = places < counts[start:stop, None]
            # Padding repeats a site's own image, so that no site ever touches another's features.
            places = first[start:stop, None] + torch.where(real, places, step)
            groups.append(_Group(slice(start, stop), places, real))
            start = stop
    return groups


def _epoch(sites: Sequence[Site], number: int, seed: int, features: Tensor) -> Tensor:
    """Fill `features` [n, 512] with an epoch of all sites, and return the order to take them in.

    Both hold one site after the other; the order has each site's images in an order drawn anew.
    """
    orders, first = [], 0
    for site in sites:
        view, count = site.epoch(number), len(site.labels)
        if view.shape != (count, FEATURES):
            raise ValueError(f"{site.name}: features {list(view.shape)}, labels {count}")
        features[first : first + count] = view
        orders.append(first + _order(seed, site.name, number, count))
        first += count
    return torch.cat(orders)


def _shares(labels: Tensor, settings: Optimisation) -> Tensor:
    """What each of a site's images [n] weighs in its loss."""
    if settings.class_weights is not None:
        return torch.tensor(settings.class_weights)[labels]
    counts = torch.bincount(labels, minlength=len(CLASSES)).clamp_min(1)
    return (len(labels) / (len(CLASSES) * counts))[labels]


def _order(seed: int, site: str, epoch: int, count: int) -> Tensor:
    """A permutation of a site's images that depends on nothing but these arguments."""
    digest = hashlib.blake2b(f"{seed} {epoch} {site}".encode(), digest_size=8).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)
    return torch.randperm(count, generator=generator)


def _gradient(parameters: Tensor, features: Tensor, labels: Tensor, share: Tensor) -> Tensor:
    """Gradient [A, 2, 513] of each site's cross-entropy, image i weighing `share[i]`: [A, B]."""
    error = torch.bmm(features, parameters.transpose(1, 2)).softmax(2)
    error -= functional.one_hot(labels, len(CLASSES))
    error *= share[..., None]
    return torch.bmm(error.transpose(1, 2), features)

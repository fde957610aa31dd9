"""A head trained on features; many heads at once, each on its own hospital's features.

A head is softmax regression: the last layer of ResNet18, the only one trained. Heads of several
hospitals advance together as one batched matrix product. Central training is the case of one site.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from fedmed.task import CLASSES
from fedmed.training.gradient import Gradient, HeadBatch, pack, unpack
from fedmed.training.heads import Heads
from fedmed.training.optimizer import RULES, Optimisation
from fedmed.training.tensors import Tensors

GROUP_IMAGES = 512  # in one matrix product: 1 MB of features


class Site(Protocol):
    """Where X-rays are kept: a hospital, or all of them put together."""

    @property
    def name(self) -> str:
        """Sets the order in which the images are shuffled; different for different hospitals."""

    @property
    def labels(self) -> Tensor:
        """The class of each image: [n] int64."""

    def epoch(self, number: int) -> Tensor:
        """Features of one augmented view of each image: [n, F]; the epoch sets which view."""


@contextmanager
def one_thread() -> Iterator[None]:
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
@one_thread()
def train(
    heads: Heads,
    sites: Sequence[Site],
    epochs: range,
    optimisation: Optimisation,
    *,
    seed: int,
    gradient: Gradient | None = None,
) -> Heads:
    """Train head h on site h for the given epochs, all H together, and return the new heads.

    Minimises cross-entropy, weighted by class as torch's CrossEntropyLoss(weight=...) does, with
    Adam, which starts afresh at each call, or plain gradient descent. But for rounding, a site's
    result does not depend on the other sites. `gradient` says along what each step is taken, if not
    along the loss's own gradient.

    Raises:
        ValueError: there are not as many heads as sites, or a site's features do not fit them.
    """
    if len(heads.weight) != len(sites):
        raise ValueError(f"{len(heads.weight)} heads for {len(sites)} sites")
    # The largest site first: whoever still has a batch then lies in front, and neighbours' batches
    # are about the same size.
    counts = torch.tensor([len(site.labels) for site in sites])
    counts, ranks = counts.sort(descending=True, stable=True)
    sites = [sites[rank] for rank in ranks.tolist()]
    parameters = pack(heads.tensors())[ranks]
    optimizer = RULES[optimisation.rule](parameters, optimisation)
    labels = torch.cat([site.labels for site in sites])
    shares = torch.cat([image_weights(site.labels, optimisation) for site in sites])
    groups = _groups(counts, optimisation.batch_size)
    features = torch.ones(len(labels), parameters.shape[2])  # the last is the bias's
    for number in epochs:
        order = _epoch(sites, number, seed, features[:, :-1])
        for some, places, real in groups:
            rows = order[places]
            share = shares[rows] * real
            share /= share.sum(1, keepdim=True)
            batch = HeadBatch(
                ranks[some], parameters[some], features[rows], labels[rows], share, real
            )
            step = pack(gradient(batch)) if gradient else batch.packed_gradient()
            optimizer.step(parameters, step, some)
    trained = unpack(parameters[ranks.argsort()])
    return Heads(trained["weight"].contiguous(), trained["bias"].contiguous())


def train_heads(
    start: Tensors,
    sites: Sequence[Site],
    epochs: range,
    optimisation: Optimisation,
    *,
    seed: int,
    gradient: Gradient | None = None,
) -> Tensors:
    """Train heads as `train` does, as named tensors: `weight` [H, 2, F] and `bias` [H, 2]."""
    heads = Heads.of(start)
    return train(heads, sites, epochs, optimisation, seed=seed, gradient=gradient).tensors()


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
    """Fill `features` [n, F] with an epoch of all sites, and return the order to take them in.

    Both hold one site after the other; the order has each site's images in an order drawn anew.
    """
    orders, first = [], 0
    for site in sites:
        view, count = site.epoch(number), len(site.labels)
        if view.shape != (count, features.shape[1]):
            raise ValueError(
                f"{site.name}: features {list(view.shape)}, where {count} labels and a head of "
                f"width {features.shape[1]} ask for {[count, features.shape[1]]}"
            )
        features[first : first + count] = view
        orders.append(first + epoch_order(seed, site.name, number, count))
        first += count
    return torch.cat(orders)


def image_weights(labels: Tensor, optimisation: Optimisation) -> Tensor:
    """What each of a site's images [n] weighs in its loss."""
    if optimisation.class_weights is not None:
        return torch.tensor(optimisation.class_weights)[labels]
    counts = torch.bincount(labels, minlength=len(CLASSES)).clamp_min(1)
    return (len(labels) / (len(CLASSES) * counts))[labels]


def epoch_order(seed: int, site: str, epoch: int, count: int) -> Tensor:
    """Draw the order of a site's images in an epoch: [n], of nothing but these arguments."""
    digest = hashlib.blake2b(f"{seed} {epoch} {site}".encode(), digest_size=8).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)
    return torch.randperm(count, generator=generator)

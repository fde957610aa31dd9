"""A site's features as the rows of a closed form: every view, each image weighed as in its loss."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from fedmed.training.local_training import Site, image_weights
from fedmed.training.optimizer import Optimisation


class Rows(NamedTuple):
    """One view of each of a site's n images, in float64."""

    features: Tensor  # [n, F + 1], the last is 1, the bias's
    labels: Tensor  # [n]
    weights: Tensor  # [n]; over all views they sum to about 1, the mean over the site's images


def rows(site: Site, optimisation: Optimisation) -> Iterator[Rows]:
    """Yield every view of a site that has several, in shares of how often training shows it.

    A site whose views cannot be told apart gives its first epoch.
    """
    views = site.every_view() if hasattr(site, "every_view") else [(1.0, site.epoch(0))]
    weights = image_weights(site.labels, optimisation).double() / len(site.labels)
    for share, view in views:
        features = torch.ones(len(view), view.shape[1] + 1, dtype=torch.float64)
        features[:, :-1] = view
        yield Rows(features, site.labels, share * weights)


class EveryRow:
    """The rows of a site, made anew each time that they are gone through: a view at a time."""

    def __init__(self, site: Site, optimisation: Optimisation) -> None:
        self._made_of = (site, optimisation)

    def __iter__(self) -> Iterator[Rows]:
        return rows(*self._made_of)


def direction_of(weight: Tensor, bias: Tensor) -> Tensor:
    """Return what tells the two classes apart: [..., 2, F] and [..., 2] -> [..., F + 1] float64."""
    packed = torch.cat([weight, bias[..., None]], -1).double()
    return packed[..., 1, :] - packed[..., 0, :]


def head_of(direction: Tensor) -> dict[str, Tensor]:
    """Return the head, float32, whose log-odds are `direction` times the features and a 1."""
    half = direction / 2
    both = torch.stack([-half, half], -2).float()
    return {"weight": both[..., :-1].contiguous(), "bias": both[..., -1].contiguous()}

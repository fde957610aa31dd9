"""Cached features as the training sees them: a site's images, a view of each in every epoch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from fedmed.data.cohort import Xray, labels
from fedmed.features.cache import FeatureCache
from fedmed.imaging.augmentation import View

HELD_BYTES = 512 * 2**20  # of features that one `Features` keeps in memory


class Features:
    """Cached features of some images; views are read when asked for.

    As many views are held in memory as fit into HELD_BYTES, however many there are.
    """

    def __init__(self, xrays: Sequence[Xray], cache: FeatureCache) -> None:
        self.labels = torch.tensor(labels(xrays))
        self._digests = [xray.digest for xray in xrays]
        self._cache = cache
        view_bytes = 4 * cache.width * max(len(xrays), 1)
        self.view = lru_cache(maxsize=max(2, HELD_BYTES // view_bytes))(self._read)
        self.epoch = lru_cache(maxsize=1)(self._mix)

    def _read(self, view: View) -> Tensor:
        """Features [n, 512] of one view."""
        return torch.from_numpy(self._cache.load(view, self._digests))

    def _mix(self, number: int, views: tuple[View, ...]) -> Tensor:
        """Features [n, 512] of one view of each image: of image i, number (epoch + i) modulo V."""
        mixed = torch.empty(self.view(views[0]).shape)
        for index, view in enumerate(views):
            first = (index - number) % len(views)
            mixed[first :: len(views)] = self.view(view)[first :: len(views)]
        return mixed


class HeldFeatures(Features):
    """Features that are in memory already; their views are numbered."""

    def __init__(self, labels: Tensor, views: Sequence[Tensor]) -> None:
        self.labels = labels
        self.view = views.__getitem__  # type: ignore[assignment]
        self.epoch = lru_cache(maxsize=1)(self._mix)


class TrainingSite:
    """One site's images in training: every epoch sees one view of each image.

    Image i takes view (epoch + i) modulo the number of views, so that each epoch mixes all kinds
    of views and each image meets every view equally often.
    """

    def __init__(
        self, name: str, features: Features, chosen: np.ndarray, views: Sequence[View]
    ) -> None:
        self.name = name
        self._features = features
        self._chosen = torch.from_numpy(np.asarray(chosen, np.int64))
        self._views = tuple(views)
        self.labels = features.labels[self._chosen]

    def every_view(self) -> Iterator[tuple[float, Tensor]]:
        """Features [n, 512] of each different view, and what share of all epochs shows it."""
        for view, times in Counter(self._views).items():
            yield times / len(self._views), self._features.view(view)[self._chosen]

    def epoch(self, number: int) -> Tensor:
        """Features [n, 512] for epoch `number`."""
        return self._features.epoch(number, self._views)[self._chosen]

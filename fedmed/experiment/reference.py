"""What a snapshot keeps of its training images, to warn about pictures that look otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fedmed.backbones.backbone import Backbone
from fedmed.data import films
from fedmed.data.cohort import Xray
from fedmed.data.simulated import simulated_laterals, simulated_xrays
from fedmed.features.cache import FeatureCache
from fedmed.features.extract import extract
from fedmed.imaging.augmentation import CLEAN, FILM
from fedmed.inference import out_of_distribution, views
from fedmed.parallel import on_all_cores

MOST, FEWEST = 120, 24  # simulated patients


def write(
    folder: Path,
    *,
    features: Sequence[Tensor],
    held_out_features: Tensor,
    measured: np.ndarray,
    held_out_measured: np.ndarray,
    cache: FeatureCache,
    backbone: Backbone,
    images: int,
    is_simulated: bool,
) -> None:
    """Fit to samples of what was trained on and held out, and some simulated ones, and save.

    `features` [n, 512] are those that one network, `backbone`, gives to a sample of the `images`
    training images in each of some views, and `held_out_features` to the held-out ones; both
    `measured` are what `films.measure` made of the pictures. The page's examples are simulated, and
    are to pass; laterals have to be. They are simulated once, and what is needed of them is kept in
    the `cache`.

    Raises:
        UserError: the cache cannot be written.
    """
    count = min(MOST, max(FEWEST, images // 4))
    # Numbers before those of any simulated cohort.
    fronts = simulated_xrays("reference", 0, 0 if is_simulated else count)
    sides = simulated_laterals(0, 2 * count)
    extract([(fronts, [CLEAN]), (sides, [])], backbone, cache, _pictures)
    of_fronts, of_sides = ([xray.digest for xray in some] for some in (fronts, sides))
    known = [*features, torch.from_numpy(cache.load(CLEAN, of_fronts))]
    pictures, held_out = films.thumbnails(measured), films.thumbnails(held_out_measured)
    statistics = out_of_distribution.fit(torch.cat(known), held_out_features, pictures, held_out)
    out_of_distribution.save(statistics, folder)
    simulated, laterals = (
        films.thumbnails(cache.load(FILM, some)) for some in (of_fronts, of_sides)
    )
    views.save(views.fit(pictures, held_out, simulated, laterals), folder)


def _pictures(xrays: Sequence[Xray]) -> np.ndarray:
    """Simulate radiographs, uint8 [n, 224, 224]."""
    return np.stack([*on_all_cores(lambda xray: np.asarray(xray.load()), xrays)])

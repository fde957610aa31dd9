"""A centre that costs no privacy: where simulated X-rays lie, which are of nobody.

Privacy's price falls with the length of what is protected. Features of any X-rays have much in
common; without it they are short.
"""

from __future__ import annotations

import torch

from fedmed.data.cohort import Xray
from fedmed.data.simulated import simulated_xrays
from fedmed.features.cache import FeatureCache
from fedmed.imaging.augmentation import CLEAN, View
from fedmed.privacy.rows import Space

PATIENTS = 150  # numbers before those of any simulated cohort
VIEWS = (CLEAN, View("degraded"))
RADIUS = 1.0  # times how far simulated X-rays lie from their centre


def wanted() -> tuple[list[Xray], list[View]]:
    """Return the X-rays and views whose features the cache must have for `space`."""
    return simulated_xrays("public", 0, PATIENTS), list(VIEWS)


def space(cache: FeatureCache) -> Space:
    """Return the space that the simulated X-rays' cached features span.

    Raises:
        KeyError: a feature is not in the cache.
    """
    xrays, views = wanted()
    digests = [xray.digest for xray in xrays]
    features = torch.stack([torch.from_numpy(cache.load(view, digests)) for view in views]).double()
    centre = features.mean((0, 1))
    distance = (features.mean(0) - centre).square().sum(1).mean().sqrt()
    return Space(centre, float(RADIUS * distance))

"""What a snapshot keeps of its training images, to warn about pictures that look otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fedmed import simulation
from fedmed.backbones.backbone import Backbone
from fedmed.features.extract import features_of
from fedmed.imaging.augmentation import CLEAN
from fedmed.inference import out_of_distribution, views
from fedmed.parallel import on_all_cores
from fedmed.simulation.lateral import lateral

# The page's examples are simulated, and are to pass; laterals have to be. Patients of a number that
# no cohort has.
FIRST = 200_000
MOST, FEWEST = 120, 24


def write(
    folder: Path,
    *,
    features: Sequence[Tensor],
    held_out_features: Tensor,
    pixels: np.ndarray,
    held_out_pixels: np.ndarray,
    backbone: Backbone,
    images: int,
    is_simulated: bool,
) -> None:
    """Fit to samples of what was trained on and held out, and some simulated ones, and save.

    `features` [n, 512] are those that one network, `backbone`, gives to a sample of the `images`
    training images in each of some views, and `held_out_features` to the held-out ones; both
    `pixels` are uint8 [n, 224, 224].
    """
    count = min(MOST, max(FEWEST, images // 4))
    fronts, sides = simulated(0 if is_simulated else count, 2 * count)
    known = list(features)
    if len(fronts):
        known.append(torch.from_numpy(features_of(CLEAN, fronts, [""] * len(fronts), backbone)))
    statistics = out_of_distribution.fit(
        torch.cat(known), held_out_features, pixels, held_out_pixels
    )
    out_of_distribution.save(statistics, folder)
    views.save(views.fit(pixels, held_out_pixels, fronts, sides), folder)


@cache
def simulated(fronts: int, sides: int) -> tuple[np.ndarray, np.ndarray]:
    """So many simulated radiographs, from the front and from the side, uint8 [n, 224, 224]."""
    frontal = on_all_cores(lambda n: simulation.simulate(FIRST + n, n % 2).pixels, range(fronts))
    from_the_side = on_all_cores(lambda n: lateral(FIRST + n), range(sides))
    empty = np.zeros((0, 224, 224), np.uint8)
    return np.stack([*frontal]) if fronts else empty, np.stack([*from_the_side])

"""What a snapshot keeps of its training images, to warn about pictures that look otherwise."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch

from fedmed import simulation
from fedmed.data.decoding import decode_all
from fedmed.experiment.prepare import Prepared
from fedmed.features.extract import clean_features
from fedmed.inference import out_of_distribution, views
from fedmed.inference.out_of_distribution import sample
from fedmed.parallel import on_all_cores
from fedmed.simulation.lateral import lateral

# The page's examples are simulated, and are to pass; laterals have to be. Patients of a number that
# no cohort has.
FIRST = 200_000
MOST, FEWEST = 120, 24


def write(prepared: Prepared, folder: Path) -> None:
    """Fit to a sample of the training images, and some simulated ones, and save into a snapshot."""
    held_out = prepared.validation
    count = min(MOST, max(FEWEST, len(prepared.training) // 4))
    fronts, sides = simulated(0 if prepared.cohort.simulated else count, 2 * count)
    rows = sample(range(len(prepared.training)))
    pixels, held_out_pixels = (
        np.asarray(decode_all(sample(xrays))) for xrays in (prepared.training, held_out.xrays)
    )
    features = [prepared.features.view(view)[list(rows)] for view in prepared.views[:2]]
    if len(fronts):
        features.append(torch.from_numpy(clean_features(fronts, prepared.backbone)))
    statistics = out_of_distribution.fit(
        torch.cat(features), held_out.features, pixels, held_out_pixels
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

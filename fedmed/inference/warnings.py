"""What a visitor should know about a picture before believing what the models say of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from torch import Tensor

from fedmed.imaging import tint
from fedmed.imaging.preprocessing import to_grey
from fedmed.inference.layout import layout, turned
from fedmed.inference.out_of_distribution import ReferenceStatistics
from fedmed.inference.views import ViewDetector

FLAT = 8.0  # grey levels of 255; no radiograph seen so far comes near

ONE_SHADE = "The picture is almost one single shade: there is nothing on it to judge."
IN_COLOUR = "The picture is in colour, as no X-ray is: the answers mean nothing for a photograph."
UPSIDE_DOWN = (
    "This looks like a chest radiograph upside down: turn it and ask again, for the models only "
    "know upright ones."
)
ON_ITS_SIDE = (
    "This looks like a chest radiograph lying on its side: turn it and ask again, for the models "
    "only know upright ones."
)
NOT_FRONTAL = (
    "This does not look like a frontal chest radiograph: it may be a lateral one, or something "
    "else. The models only know frontal ones, and the answers may mean nothing."
)
UNLIKE = (
    "The picture does not look like the X-rays that the models were trained on, upright frontal "
    "chest radiographs: the answers may mean nothing."
)
TURNED = {"upside down": (UPSIDE_DOWN, (2,)), "on its side": (ON_ITS_SIDE, (1, 3))}


class Known(NamedTuple):
    """What a snapshot knows of its training images; None where it was made without."""

    statistics: ReferenceStatistics | None = None
    views: ViewDetector | None = None


def warnings(pixels: np.ndarray, features: Tensor, known: Known, colour: float = 0.0) -> list[str]:
    """Warnings about uint8 pixels [224, 224] with features [512] and some `tint.colourfulness`.

    Any of them is serious: what the models say should not be believed.
    """
    if float(pixels.std()) < FLAT:
        return [ONE_SHADE]
    told = [IN_COLOUR] if colour > tint.COLOURED else []
    view = known.views.view(pixels) if known.views else "upright"
    if view == "lateral":
        return told or [NOT_FRONTAL]
    far = False
    if known.statistics is not None:
        scores = known.statistics.score(features[None], pixels[None])
        far = max(float(score) for score in scores.values()) > 1
    if view in TURNED and not told:
        words, quarters = TURNED[view]
        # Anything at all seems to lie some way: it is said of what is a chest once it is turned.
        return [words if _is_chest_turned(pixels, quarters, known) else UNLIKE]
    return [*told, UNLIKE] if far else told


def _is_chest_turned(pixels: np.ndarray, quarters: tuple[int, ...], known: Known) -> bool:
    if known.statistics is None:
        return True
    here = layout(to_grey(pixels[None]))
    return any(
        float(known.statistics.layout.score(turned(here, quarter, mirrored))) <= 1
        for quarter in quarters
        for mirrored in (False, True)
    )

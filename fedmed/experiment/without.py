"""A run as it would be without one of its hospitals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fedmed.data.cohort import count
from fedmed.errors import UserError
from fedmed.experiment.prepare import Prepared
from fedmed.features.sites import Features, TrainingSite


def without(prepared: Prepared, hospital: str) -> Prepared:
    """Return what the other hospitals hold; those behind it move up by a number.

    Raises:
        UserError: there is no such hospital, or no other, or a class is at no other.
    """
    names = prepared.sites
    if hospital not in names:
        raise UserError(f"there is no {hospital}: choose from {', '.join(names)}.")
    if len(names) < 2:
        raise UserError(f"{hospital} is the only hospital: without it there is nothing left.")
    place = names.index(hospital)
    leaves = np.zeros(len(prepared.training), bool)
    leaves[prepared.parts[place]] = True
    moved = np.cumsum(~leaves) - 1  # where those that stay lie now
    parts = [moved[part] for number, part in enumerate(prepared.parts) if number != place]
    training = [xray for xray, gone in zip(prepared.training, leaves, strict=True) if not gone]
    counted = count(training)
    if min(counted["images"].values()) == 0:
        raise UserError(f"without {hospital} one class has no X-ray left to train on.")
    features = Features(training, prepared.learned)
    return replace(
        prepared,
        training=training,
        parts=parts,
        audit=prepared.audit | {"training": counted},
        features=features,
        everything=_site("central", features, np.arange(len(training)), prepared),
        hospitals=[
            _site(f"hospital_{number}", features, part, prepared)
            for number, part in enumerate(parts, start=1)
        ],
    )


def without_all(prepared: Prepared, hospitals: Sequence[str]) -> Prepared:
    """Leave out several, each named as it was called when it was its turn."""
    for hospital in hospitals:
        prepared = without(prepared, hospital)
    return prepared


def _site(name: str, features: Features, part: np.ndarray, prepared: Prepared) -> TrainingSite:
    return TrainingSite(name, features, part, prepared.views)

"""Patients held out of train/, on whom every choice is made.

The official test split was not drawn at random: its NORMAL patients have earlier numbers than
those of train/. Holding out random patients would hide that kind of shift, so what is held out is
whole blocks of consecutive patient numbers, of every kind.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fedmed.data.cohort import Xray
from fedmed.data.patients import patient_order
from fedmed.errors import UserError
from fedmed.task import CLASSES

BLOCKS_PER_KIND = 20
VALIDATION_FRACTION = 0.15
FEWEST_OF_A_KIND = 7  # patients of whom 15 % are one


def description(patients_known: bool) -> str:
    """What `hold_out` does to a cohort, for the report."""
    if patients_known:
        return (
            "patients held out of train/: 15 % of every kind of patient, "
            "in blocks of consecutive patient numbers"
        )
    return (
        "images held out of train/: 15 % of each class, in blocks of consecutive file names; "
        "not every name tells a patient"
    )


def hold_out(xrays: Sequence[Xray], *, seed: int) -> tuple[list[Xray], list[Xray]]:
    """Split X-rays into (training, validation) so that no patient is on both sides.

    Raises:
        UserError: a side would lack a class.
    """
    groups = _groups(xrays)
    generator = np.random.default_rng(seed)
    held: set[str] = set()
    for key in sorted(groups):
        ordered = sorted(groups[key], key=patient_order)
        blocks = [b for b in np.array_split(np.array(ordered), BLOCKS_PER_KIND) if len(b)]
        count = max(1, round(VALIDATION_FRACTION * len(blocks)))
        for index in generator.permutation(len(blocks))[:count]:
            held.update(blocks[index].tolist())
    training = [xray for xray in xrays if xray.patient not in held]
    validation = [xray for xray in xrays if xray.patient in held]
    for side, chosen in (("training", training), ("validation", validation)):
        lacking = set(range(len(CLASSES))) - {xray.label for xray in chosen}
        if lacking:
            raise UserError(
                f"--data: holding out 15 % of the patients leaves no {CLASSES[lacking.pop()]} "
                f"image for {side}. train/ needs at least two patients of each class; patients "
                "who trained the backbone do not count."
            )
    return training, validation


def _groups(xrays: Sequence[Xray]) -> dict[tuple[str, int], set[str]]:
    """Patients by kind and class; those without a kind, or with a rare one, by class alone."""
    groups: dict[tuple[str, int], set[str]] = {}
    for xray in xrays:
        kind = patient_order(xray.patient)[0]
        groups.setdefault((kind, xray.label), set()).add(xray.patient)
    for kind, label in [key for key in groups if key[0]]:
        # A patient would be held out of each, which of many small kinds is most of them.
        if len(groups[kind, label]) < FEWEST_OF_A_KIND:
            groups.setdefault(("", label), set()).update(groups.pop((kind, label)))
    return groups

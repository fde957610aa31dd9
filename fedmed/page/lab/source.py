"""Whose features a visitor federates on: the chosen snapshot's, or those that ship."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fedmed.inference.choices import shipped
from fedmed.lab.cohort import deal, mixes
from fedmed.lab.settings import LabSettings
from fedmed.page.shown import Snapshots
from fedmed.snapshot.lab_features import NAME, Dealable, NoLabError, read_dealable
from fedmed.task import CLASSES

SKEWS = tuple(round(2.0 ** (step / 3), 3) for step in range(25))  # the slider's, 1 to 256
ALPHAS = tuple(round(10.0 ** (1 - step / 12), 3) for step in range(25))  # 10 to 0.1

Track = list[list[list[int]]]  # of each place of the slider, of each hospital, patients by class


class Source(NamedTuple):
    """A folder with lab.safetensors."""

    folder: Path
    is_own: bool  # whether it is the chosen snapshot's

    @property
    def note(self) -> str:
        """What to say of it, if anything."""
        if self.is_own:
            return ""
        return (
            "The chosen snapshot keeps no features to federate on, so the lab runs on those that "
            "ship: of a frozen ImageNet network, on public X-rays."
        )


def find(snapshots: Snapshots, name: str | None) -> Source:
    """The source that belongs to a snapshot.

    Raises:
        UserError: there is no such snapshot.
        NoLabError: neither it nor what ships has features.
    """
    if folder := snapshots.page(name).lab:
        return Source(folder, True)
    for choice in shipped(""):
        if choice.folder and (choice.folder / NAME).is_file():
            return Source(choice.folder, False)
    raise NoLabError("No features to federate on came with this installation.")


@lru_cache(maxsize=4)
def training(folder: Path) -> Dealable:
    """Whose X-rays there are to deal."""
    return read_dealable(folder)


def track(folder: Path, settings: LabSettings) -> Track:
    """What every place of the slider deals, by the partition that a run uses.

    Under label-skew and quantity-skew the slider is `skew`, under dirichlet `alpha`; iid has none.

    Raises:
        UserError: the X-rays are too few for so many hospitals.
    """
    whose = training(folder)
    given = settings.as_json()
    if settings.partition == "dirichlet":
        places = [given | {"alpha": alpha} for alpha in ALPHAS]
    elif settings.partition == "iid":
        places = [given]
    else:
        places = [given | {"skew": skew} for skew in SKEWS]
    result = []
    for one in places:
        dealt = mixes(whose, deal(whose, LabSettings.of(one)))
        result.append([[mix[name] for name in CLASSES] for mix in dealt])
    return result


def totals(folder: Path) -> np.ndarray:
    """How many training patients there are of each class."""
    whose = training(folder)
    everybody = mixes(whose, [np.arange(len(whose.labels))])[0]
    return np.array([everybody[name] for name in CLASSES])

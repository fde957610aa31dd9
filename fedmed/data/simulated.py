"""A cohort of simulated radiographs: no download, no patient, ground truth known."""

from __future__ import annotations

import hashlib

from PIL import Image

from fedmed import simulation
from fedmed.data.cohort import Cohort, Xray
from fedmed.simulation.lateral import lateral
from fedmed.task import CLASSES, SIMULATED

UNLABELLED = -1
FIRST_TRAIN, FIRST_TEST, FIRST_EXAMPLE = 10_000, 50_000, 90_000


def simulated_xrays(split: str, first: int, count: int, *, seed: int = 0) -> list[Xray]:
    """`count` patients with numbers from `first`, every other one with pneumonia."""
    return [_xray(split, first + index, index % 2, seed) for index in range(count)]


def simulated_laterals(first: int, count: int) -> list[Xray]:
    """Radiographs from the side of `count` patients with numbers from `first`; none is labelled."""
    return [_lateral(first + index) for index in range(count)]


def simulated_cohort(train: int = 500, test: int = 100, *, seed: int = 0) -> Cohort:
    """A train and a test split of simulated patients, both classes equally frequent."""
    return Cohort(
        "simulated",
        SIMULATED,
        simulated_xrays("train", FIRST_TRAIN, train, seed=seed),
        simulated_xrays("test", FIRST_TEST, test, seed=seed),
        patients_known=True,
        simulated=True,
        test_split="simulated patients that nothing was trained on",
    )


def _xray(split: str, patient: int, label: int, seed: int) -> Xray:
    def load() -> Image.Image:
        return Image.fromarray(simulation.simulate(patient, label, seed=seed).pixels)

    return Xray(
        f"{split}/{CLASSES[label]}/sim-{patient:06d}.png",
        label,
        f"sim-{patient}",
        _digest(f"simulated/{simulation.VERSION}/{seed}/{patient}/{label}"),
        load,
    )


def _lateral(patient: int) -> Xray:
    def load() -> Image.Image:
        return Image.fromarray(lateral(patient))

    digest = _digest(f"simulated lateral/{simulation.VERSION}/{patient}")
    return Xray(f"lateral/sim-{patient:06d}.png", UNLABELLED, f"sim-{patient}", digest, load)


def _digest(identity: str) -> str:
    return hashlib.sha256(identity.encode()).hexdigest()

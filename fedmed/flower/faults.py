"""Protections that make no sense with a run's other options: `experiment.combinations`' words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from fedmed.experiment.choices import SECURE_HOSPITALS
from fedmed.experiment.combinations import Protectable, unprotectable, without_features


class Protected(Protectable, Protocol):
    """A coordinator's options, or the terms that a hospital is told."""

    @property
    def epsilon(self) -> float: ...
    @property
    def delta(self) -> float: ...
    @property
    def format(self) -> str: ...


def faults(
    run: Protected, hospitals: int = SECURE_HOSPITALS[0], least: int = SECURE_HOSPITALS[0]
) -> Iterator[str]:
    """Yield a sentence for each; `least` of so many hospitals may make a round."""
    if run.epsilon != 0 and not 0.01 <= run.epsilon <= 100:
        yield "--epsilon must be a number from 0.01 to 100, or 0 for none"
    if not 1e-12 <= run.delta <= 0.1:
        yield "--delta must be a number from 1e-12 to 0.1"
    rounding = None if run.format == "fp32" else f"--format {run.format}"
    yield from unprotectable(run, hospitals, rounding)
    if fault := without_features(run.train, run.algorithm):
        yield fault
    if run.secure_aggregation and least < SECURE_HOSPITALS[0]:
        yield (
            f"--secure-aggregation needs {SECURE_HOSPITALS[0]} hospitals in every round: of two "
            "each would learn the other's update; raise --min-hospitals"
        )

"""Protections that make no sense with a run's other options: `experiment.combinations`' words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from fedmed.experiment.choices import SECURE_HOSPITALS
from fedmed.experiment.combinations import unprotectable, without_features


class Protected(Protocol):
    """A coordinator's options, or the terms that a hospital is told."""

    @property
    def algorithm(self) -> str: ...
    @property
    def format(self) -> str: ...
    @property
    def epsilon(self) -> float: ...
    @property
    def delta(self) -> float: ...
    @property
    def secure_aggregation(self) -> bool: ...
    @property
    def train(self) -> str: ...


@dataclass(frozen=True)
class _InOneProcess:
    """The same options as train.py knows them; what it has beside them is left out."""

    algorithm: str
    epsilon: float | None
    secure_aggregation: bool
    hospitals: int
    train: str
    participation: float = 1.0
    drop_out: float = 0.0
    poison: str | None = None
    quantize: str = "none"  # is called `format` here
    audit: bool = False
    keep_sums: bool = False
    personalise: str | None = None
    study: bool = False


def faults(
    run: Protected, hospitals: int = SECURE_HOSPITALS[0], least: int = SECURE_HOSPITALS[0]
) -> Iterator[str]:
    """Yield a sentence for each; `least` of so many hospitals may make a round."""
    if run.epsilon != 0 and not 0.01 <= run.epsilon <= 100:
        yield "--epsilon must be a number from 0.01 to 100, or 0 for none"
    if not 1e-12 <= run.delta <= 0.1:
        yield "--delta must be a number from 1e-12 to 0.1"
    epsilon = run.epsilon or None
    yield from unprotectable(
        _InOneProcess(run.algorithm, epsilon, run.secure_aggregation, hospitals, run.train)
    )
    if fault := without_features(run.train, run.algorithm):
        yield fault
    if run.secure_aggregation and run.format != "fp32":
        yield f"--secure-aggregation adds up exact numbers: leave out --format {run.format}"
    if run.secure_aggregation and least < SECURE_HOSPITALS[0]:
        yield (
            f"--secure-aggregation needs {SECURE_HOSPITALS[0]} hospitals in every round: of two "
            "each would learn the other's update; raise --min-hospitals"
        )

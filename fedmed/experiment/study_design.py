"""What a study runs: federations that differ in one thing at a time, each with several seeds.

Not every algorithm with every split, format, epsilon and poison: a row that says nothing new is
left out. What averages meets every split; closed forms and Newton's method give the same head
however patients are dealt, so that two splits are enough to show it. Formats and poison are varied
around the default algorithm, and robust aggregation is there for poison. Every algorithm that can
be private is, under the skewed split; the default one and one message are under both.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from fedmed.experiment.choices import PRIVATE

SEEDS = 5

AVERAGING = ("fedavg", "fedprox", "scaffold", "fedavgm", "fedadam", "fedyogi")
SAME_FOR_ANY_SPLIT = ("class-means", "ridge", "lda", "newton")
ROBUST = ("median", "trimmed-mean", "krum")
SPLITS: tuple[tuple[str, float | None], ...] = (
    ("label-skew", None),
    ("dirichlet", 0.1),
    ("dirichlet", 0.3),
    ("dirichlet", 1.0),
    ("quantity-skew", None),
    ("iid", None),
)
SKEWED, EVEN = SPLITS[0], SPLITS[-1]
PRIVATE_EVERYWHERE = ("fedavg", "class-means")
EPSILONS = (8.0, 3.0, 1.0)
FORMATS = ("fp16", "int8")
POISONS = ("label-flip", "sign-flip", "scale:100")


@dataclass(frozen=True)
class Cell:
    """One federation of the study; run once with each seed."""

    algorithm: str
    partition: str
    alpha: float | None = None
    epsilon: float | None = None
    format: str = "fp32"
    poison: str | None = None

    def fields(self) -> dict[str, Any]:
        """Return it as the report has it."""
        return asdict(self)


def design() -> list[Cell]:
    """Return every cell, each once."""
    cells = [Cell(name, *split) for name in AVERAGING for split in SPLITS]
    cells += [Cell(name, *split) for name in SAME_FOR_ANY_SPLIT for split in (SKEWED, EVEN)]
    cells += [Cell("fedavg", *SKEWED, format=format) for format in FORMATS]
    cells += [
        Cell(name, *split, epsilon=epsilon)
        for split in (SKEWED, EVEN)
        for name in PRIVATE_EVERYWHERE
        for epsilon in EPSILONS
    ]
    cells += [Cell(name, *SKEWED, epsilon=epsilon) for name in PRIVATE for epsilon in EPSILONS]
    cells += [
        Cell(name, *split, poison=poison)
        for split in (SKEWED, EVEN)
        for name in ("fedavg", *ROBUST)
        for poison in (None, *POISONS)
    ]
    return list(dict.fromkeys(cells))

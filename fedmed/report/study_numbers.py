"""What several seeds show: means, and differences paired by seed, with Student's intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fedmed.report.numbers import Interval
from fedmed.report.study_schema import Cell, Study

# Student's t at 97.5 %, by degrees of freedom from 1; beyond, the normal's is near enough.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
      2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
      2.052, 2.048, 2.045, 2.042)  # fmt: skip

SCORE = "shifted_auc"  # by which a study compares: what predicts the test best


def over_seeds(values: Sequence[float]) -> Interval | None:
    """Return the mean with its 95 % interval; None of fewer than two values, which show nothing."""
    count = len(values)
    if count < 2:
        return None
    mean = sum(values) / count
    spread = math.sqrt(sum((value - mean) ** 2 for value in values) / (count - 1))
    reach = (_T[count - 2] if count - 2 < len(_T) else 1.96) * spread / math.sqrt(count)
    return {"value": mean, "low": mean - reach, "high": mean + reach}


def scored(cell: Cell, name: str = SCORE) -> Interval | None:
    """Return a cell's score over its seeds."""
    return over_seeds(cell[name])  # type: ignore[literal-required]


def lead(cell: Cell, other: Cell, name: str = SCORE) -> Interval | None:
    """Return by how much one cell's score is above another's, over the seeds that both have."""
    mine = dict(zip(cell["seeds"], cell[name], strict=True))  # type: ignore[literal-required]
    theirs = dict(zip(other["seeds"], other[name], strict=True))  # type: ignore[literal-required]
    return over_seeds([mine[seed] - theirs[seed] for seed in mine if seed in theirs])


def find(study: Study, **wanted: object) -> list[Cell]:
    """Return the cells with these fields; of those not named, neither epsilon nor poison, FP32."""
    asked = {"epsilon": None, "format": "fp32", "poison": None} | wanted
    return [cell for cell in study["cells"] if all(cell[key] == asked[key] for key in asked)]  # type: ignore[literal-required]


def under_every_split(cells: Sequence[Cell]) -> list[Cell]:
    """Return those of the algorithms that stand under each split that any of the cells has."""
    splits = {split_of(cell) for cell in cells}
    of = {name: {split_of(c) for c in cells if c["algorithm"] == name} for name in _named(cells)}
    return [cell for cell in cells if of[cell["algorithm"]] == splits]


def least_epsilon(cells: Sequence[Cell]) -> tuple[Cell | None, list[Cell]]:
    """Return fedavg's cell with the least epsilon, and the others' with the same."""
    bases = [cell for cell in cells if cell["algorithm"] == "fedavg" and cell["epsilon"]]
    if not bases:
        return None, []
    base = min(bases, key=lambda cell: cell["epsilon"] or 0.0)
    return base, [c for c in cells if c is not base and c["epsilon"] == base["epsilon"]]


def _named(cells: Sequence[Cell]) -> list[str]:
    return list(dict.fromkeys(cell["algorithm"] for cell in cells))


def split_of(cell: Cell) -> str:
    """`dirichlet 0.3`, `iid`."""
    return cell["partition"] + ("" if cell["alpha"] is None else f" {cell['alpha']:g}")


def points(gap: Interval) -> str:
    """`-1.2 points (-2.0 to -0.4)`."""
    # Nothing to a tenth is no less than nothing.
    value, low, high = (round(100 * gap[end], 1) + 0.0 for end in ("value", "low", "high"))
    return f"{value:+.1f} points ({low:+.1f} to {high:+.1f})"


def plus_minus(interval: Interval) -> str:
    """`97.4 ± 0.3`, in percent."""
    return f"{100 * interval['value']:.1f} ± {100 * (interval['high'] - interval['value']):.1f}"


def by(study: Study) -> str:
    """`; 5 seeds`, the end of what is said in brackets."""
    return f"; {len(study['seeds']):,} seeds"

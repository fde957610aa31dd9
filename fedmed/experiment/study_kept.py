"""What a new study takes over from the one that is there, and the proof that it may.

A federation without noise comes to the same on the same code and machine, so one of each kind is
run again. Noise is drawn from the system's own source, and nothing can repeat it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from fedmed.errors import UserError
from fedmed.experiment.study_design import Cell
from fedmed.report.study_schema import SCORES

ALIKE = 1e-5  # relative: a report has six digits


class Kept:
    """Cells without noise of a report's `study`, and what its hospitals have alone and give.

    `now` are the fields of the study to be that both must have in common.

    Raises:
        UserError: they have not.
    """

    def __init__(
        self, study: Mapping[str, Any], cells: Sequence[Cell], now: Mapping[str, Any]
    ) -> None:
        if others := [name for name, value in now.items() if study.get(name) != value]:
            raise UserError(
                f"--keep: the study that is there has other {' and '.join(others)} than this one "
                "would have; leave out --keep to run all of it."
            )
        names = [field.name for field in fields(Cell)]
        found = {Cell(**{name: cell[name] for name in names}): cell for cell in study["cells"]}
        self.cells: dict[Cell, dict[str, Any]] = {
            cell: found[cell]
            for cell in cells
            if cell in found and cell.epsilon is None and found[cell]["seeds"] == now["seeds"]
        }
        self.by_hospital: dict[str, Any] = study["by_hospital"]
        self.seconds: float = study["seconds"]
        self._first: int = now["seeds"][0]
        kinds: dict[tuple[object, ...], Cell] = {}
        for cell in self.cells:
            kinds.setdefault((cell.algorithm, cell.format, cell.poison), cell)
        self._again = {None, *kinds.values()}

    def spares(self, cell: Cell | None, seed: int) -> bool:
        """Whether a run is neither lacking nor one that is run again; None are hospitals alone."""
        known = cell is None or cell in self.cells
        return known and not (seed == self._first and cell in self._again)

    def check(self, run_of: Callable[[Cell | None, int], Mapping[str, Any]]) -> None:
        """Hold what was run again against what is kept.

        Raises:
            UserError: it came to something else.
        """
        for cell in self._again:
            pairs = self._pairs(cell, run_of(cell, self._first))
            if not pairs or not all(math.isclose(*pair, rel_tol=ALIKE) for pair in pairs):
                which = "a hospital alone comes" if cell is None else f"{cell.algorithm} comes"
                raise UserError(
                    f"--keep: {which} to other scores today than in the study that is there, so "
                    "its figures are of other code or another machine; leave out --keep to run "
                    "all of it."
                )

    def _pairs(self, cell: Cell | None, run: Mapping[str, Any]) -> list[tuple[float, float]]:
        """Scores that are kept, each with the same one of today."""
        if cell is not None:
            return [(self.cells[cell][name][0], run.get(name, math.nan)) for name in SCORES]
        return [
            (self.by_hospital[name][key][0], of[key])
            for name, of in run.get("hospitals", {}).items()
            for key in ("alone", "federated")
        ]

"""A study: many federations on one run's features, compared over seeds; the report's `study`.

It can be broken off and gone on with: every run that ends is written down.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import as_completed
from pathlib import Path
from typing import Any

import torch

from fedmed.experiment import study_material
from fedmed.experiment.optimisations import optimisations
from fedmed.experiment.prepare import Prepared
from fedmed.experiment.settings import Settings
from fedmed.experiment.study_design import SEEDS, Cell, design
from fedmed.experiment.study_kept import Kept
from fedmed.experiment.study_runs import Order, run
from fedmed.privacy import public_centre
from fedmed.progress import Progress, say
from fedmed.report.study_schema import SCORES
from fedmed.training.workers import Workers, result

METHOD = (
    "every federation once with each seed, which deals the patients and orders the X-rays anew; "
    "validation patients are the same for all. Private runs step on one row a patient, as a run "
    "with --epsilon does. Intervals are Student's over the seeds, of differences paired by seed; "
    "they tell what other seeds would give, not other patients"
)


def study(
    settings: Settings,
    prepared: Prepared,
    *,
    cells: Sequence[Cell] | None = None,
    seeds: int = SEEDS,
    before: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Run what of the design is not done yet, on all cores, and return the report's `study`.

    `before` is a study of which everything without noise is kept, as `Kept` does.

    Raises:
        UserError: a process was ended from outside, or `before` is of other code or settings.
    """
    cells = design() if cells is None else cells
    numbers = range(settings.seed, settings.seed + seeds)
    told = {
        "seeds": list(numbers),
        "hospitals": settings.hospitals,
        "rounds": settings.rounds,
        "local_epochs": settings.local_epochs,
        "partition": settings.partition,
        "n": len(prepared.validation.xrays),
    }
    kept = Kept(before, cells, told) if before else None
    folder = prepared.state.folder
    record = Record(folder / "study.jsonl")
    together, alone = optimisations(settings, prepared, prepared.recipe)
    space = prepared.space or public_centre.space(prepared.learned)
    material = folder / "study.material"
    study_material.write(prepared, space, material)
    orders = {
        _key(cell, seed): Order(material, settings, together, alone, cell, seed)
        for seed in numbers
        for cell in (*cells, None)
        if not (kept and kept.spares(cell, seed))
    }
    lacking = {key: order for key, order in orders.items() if key not in record.done}
    if len(lacking) < len(orders):
        say(f"Kept from before: {len(orders) - len(lacking):,} of {len(orders):,} runs.")
    count = min(settings.workers or os.cpu_count() or 1, max(1, len(lacking)))
    if count == 1:
        for key in Progress("The study's runs", len(lacking), unit="run").over(lacking):
            threads = torch.get_num_threads()
            record.add(key, run(lacking[key]))
            torch.set_num_threads(threads)
    else:
        with Workers(count) as workers:
            futures = {workers.submit(run, order): key for key, order in lacking.items()}
            progress = Progress("The study's runs", len(lacking), unit="run")
            for future in progress.over(as_completed(futures)):
                record.add(futures[future], result(future))
    material.unlink()

    def of(cell: Cell | None, seed: int) -> dict[str, Any]:
        return record.done[_key(cell, seed)]

    def found(cell: Cell) -> dict[str, Any]:
        if kept and cell in kept.cells:
            return kept.cells[cell]
        return _cell(cell, [(seed, of(cell, seed)) for seed in numbers])

    if kept:
        kept.check(of)
    hospitals = kept.by_hospital if kept else _by_hospital([of(None, seed) for seed in numbers])
    seconds = sum(record.done[key]["seconds"] for key in orders)
    return {
        "method": METHOD,
        **told,
        "cells": [found(cell) for cell in cells],
        "by_hospital": hospitals,
        "seconds": round(seconds + (kept.seconds if kept else 0.0), 1),
    }


class Record:
    """What runs came to, a line each; a line that was cut off is no line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.done: dict[str, dict[str, Any]] = {}
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        for line in lines:
            try:
                key, found = json.loads(line)
            except ValueError:
                continue
            self.done[key] = found

    def add(self, key: str, found: dict[str, Any]) -> None:
        """Write down one more."""
        self.done[key] = found
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"\n{json.dumps([key, found])}\n")


def _key(cell: Cell | None, seed: int) -> str:
    return json.dumps([cell.fields() if cell else None, seed])


def _cell(cell: Cell, found: Sequence[tuple[int, dict[str, Any]]]) -> dict[str, Any]:
    """A cell of the report: its scores by seed, of the runs that came to an end."""
    ended = [(seed, one) for seed, one in found if "failed" not in one]
    reasons = [one["failed"] for _, one in found if "failed" in one]
    fields = cell.fields() | {"seeds": [seed for seed, _ in ended]}
    fields |= {name: [one[name] for _, one in ended] for name in SCORES}
    if ended:
        fields["bytes"] = round(sum(one["bytes"] for _, one in ended) / len(ended))
        fields["rounds"] = max(one["rounds"] for _, one in ended)
    if reasons:
        fields["failed"] = {"runs": len(reasons), "reason": reasons[0]}
    return fields


def _by_hospital(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of each hospital, by seed: its accuracy alone and joined, and its contribution."""
    ended = [one["hospitals"] for one in found if "failed" not in one]
    names = list(ended[0]) if ended else []
    return {
        name: {
            key: [one[name][key] for one in ended if one[name][key] is not None]
            for key in ("alone", "federated", "contribution")
        }
        for name in names
    }

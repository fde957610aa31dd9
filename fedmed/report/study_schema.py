"""The fields of the report's `study`: many federations, each with several seeds."""

from __future__ import annotations

from typing import (
    Annotated,
    NotRequired,  # pydantic reads typing's from 3.12 on
)

from pydantic import AfterValidator, Field
from typing_extensions import TypedDict

from fedmed.report.numbers import Number, Positive, Whole

SCORES = ("auc", "balanced_accuracy", "shifted_auc", "shifted_balanced_accuracy")


class Failed(TypedDict):
    runs: Positive
    reason: str


class Cell(TypedDict):
    """One federation: what it was, and its scores by seed of those runs that came to an end."""

    algorithm: str
    partition: str
    alpha: Number | None
    epsilon: Number | None
    format: str
    poison: str | None
    seeds: list[Whole]
    auc: list[Number]  # on validation
    balanced_accuracy: list[Number]
    shifted_auc: list[Number]  # on shifted validation
    shifted_balanced_accuracy: list[Number]
    bytes: NotRequired[Positive]  # of all hospitals, both ways, the whole run
    rounds: NotRequired[Positive]
    failed: NotRequired[Failed]


def _a_score_for_each_seed(cell: Cell) -> Cell:
    if any(len(cell[name]) != len(cell["seeds"]) for name in SCORES):  # type: ignore[literal-required]
        raise ValueError("must hold one score for each seed")
    if len(set(cell["seeds"])) < len(cell["seeds"]):
        raise ValueError("must hold every seed once")
    if cell["seeds"] and not {"bytes", "rounds"} <= set(cell):
        raise ValueError("must hold bytes and rounds")
    return cell


class ByHospital(TypedDict):
    """Of a hospital, by seed: accuracy at its own mix alone and joined, and its Shapley value."""

    alone: list[Number]
    federated: list[Number]
    contribution: list[Number]


class Study(TypedDict, total=False):
    """All of these, or a later version's study, which has none of these `cells`."""

    method: str
    seeds: Annotated[list[Whole], Field(min_length=1)]
    hospitals: Positive
    rounds: Positive
    local_epochs: Positive
    partition: str
    n: Positive  # validation X-rays
    cells: list[Annotated[Cell, AfterValidator(_a_score_for_each_seed)]]
    by_hospital: dict[str, ByHospital]
    seconds: Number


def whole_or_later(study: Study) -> Study:
    """Refuse a study that has cells and lacks another field."""
    if "cells" in study and (lacking := sorted(set(Study.__annotations__) - set(study))):
        raise ValueError(f"must hold {lacking[0]}")
    return study


def readable(study: Study | None) -> Study | None:
    """Return a report's study, unless there is none or it is a later version's."""
    return study if study and "cells" in study else None

"""Whom one poisoned hospital harms is said as far as figures show it, and both ways."""

from __future__ import annotations

from typing import Any

import pytest

from fedmed.report.poison_claims import poison
from tests.support.studies import cell, with_cells


def said(*changed: Any) -> str:
    return poison(with_cells(*changed))  # type: ignore[arg-type]


def poisoned(algorithm: str, auc: float, **more: Any) -> dict[str, Any]:
    return cell(algorithm, auc, partition="iid", poison="sign-flip", **more)


def test_whoever_falls_is_named_with_the_worst_seed() -> None:
    told = said(poisoned("median", 0.6))
    fell = "AUC down to 0.598; by more than 5 points with 3 of 3 seeds"
    assert "sign-flip harms fedavg (AUC down to 0.698" in told and f"median ({fell})" in told
    assert "not shown" not in told


def test_who_stands_is_not_said_to_be_safe() -> None:
    told = said(poisoned("fedavg", 0.93))
    assert "sign-flip is not shown to harm any algorithm" in told and "harms" not in told
    assert "sign-flip harms fedavg" in said() and "no harm to median is shown" in said()


def test_a_small_fall_of_every_seed_is_harm_without_a_worst_one() -> None:
    assert "harms fedavg; no harm to median" in said(poisoned("fedavg", 0.92))


def test_an_attack_that_succeeds_with_one_seed_is_harm() -> None:
    """The mean is not shown to fall, so far apart are the seeds."""
    broken = poisoned("fedavg", 0.93)
    broken["shifted_auc"] = [0.93, 0.05, 0.93]
    assert "harms fedavg (AUC down to 0.050; by more than 5 points with 1 of 3" in said(broken)


def test_what_moves_the_operating_point_alone_is_told_apart() -> None:
    moved = poisoned("fedavg", 0.93)
    moved["shifted_balanced_accuracy"] = [0.88, 0.88, 0.88]
    told = said(moved)
    assert "sign-flip costs fedavg balanced accuracy (not ranking); no harm to median" in told


def test_a_run_that_failed_is_harm() -> None:
    broken = poisoned("median", 0.93)
    broken |= {"failed": {"runs": 1, "reason": "training diverged"}}
    assert "median (a run came to no model)" in said(broken)
    never = cell("median", 0.93, partition="iid") | {"seeds": [], "failed": broken["failed"]}
    told = said(broken, never)
    assert "harms fedavg" in told and "median" not in told, "what never ran is not harmed"


@pytest.mark.parametrize("without", ["sign-flip", None])
def test_nothing_is_said_without_both_sides(without: str | None) -> None:
    study = with_cells()
    study["cells"] = [c for c in study["cells"] if c["poison"] != without]
    assert poison(study) == ""  # type: ignore[arg-type]

"""Which algorithms one poisoned hospital harms, as far as a study shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fedmed.report.phrases import listed
from fedmed.report.study_numbers import by, find, lead
from fedmed.report.study_schema import Cell, Study

RANKING, OPERATING = "shifted_auc", "shifted_balanced_accuracy"
# An attack that succeeds with some seeds only spreads the scores so far that no mean is shown to
# fall: a seed that loses as much as this against the same unpoisoned is harm by itself.
FALL = 0.05


class Harm(NamedTuple):
    """What a poison did to an algorithm; `failed` where a run came to no model."""

    algorithm: str
    failed: bool
    ranking: bool  # that its AUC falls
    operating: bool  # that its balanced accuracy falls
    worst: float | None  # AUC of the worst seed
    fallen: int  # seeds whose AUC falls by FALL
    seeds: int


def poison(study: Study) -> str:
    """Return a sentence for each split in which hospitals were poisoned."""
    sentences = []
    for split in ("label-skew", "iid"):
        kinds = dict.fromkeys(
            c["poison"] for c in study["cells"] if c["poison"] and c["partition"] == split
        )
        found = {str(kind): harms for kind in kinds if (harms := _harms(study, split, kind))}
        parts = [_told(kind, harms) for kind, harms in found.items()]
        stood = _unharmed([harm for harms in found.values() for harm in harms])
        if parts and stood:
            parts.append(f"no harm to {listed(stood)} is shown")
        if parts:
            sentences.append(
                f"With one hospital of {study['hospitals']:,} poisoned under {split}, "
                f"{'; '.join(parts)} (against the same unpoisoned{by(study)})."
            )
    return " ".join(sentences)


def _harms(study: Study, split: str, kind: str | None) -> list[Harm]:
    harms = []
    for cell in find(study, partition=split, poison=kind):
        clean = find(study, partition=split, algorithm=cell["algorithm"])
        if not clean or not clean[0]["seeds"]:  # nothing to be harmed
            continue
        if "failed" in cell or lead(cell, clean[0]):
            harms.append(_harm(cell, clean[0]))
    return harms


def _harm(cell: Cell, clean: Cell) -> Harm:
    falls = {name: _falls(cell, clean, name) for name in (RANKING, OPERATING)}
    shown = {}
    for name, fallen in falls.items():
        gap = lead(cell, clean, name)
        shown[name] = bool(gap and gap["high"] < 0) or any(fall >= FALL for fall in fallen)
    return Harm(
        cell["algorithm"],
        "failed" in cell,
        shown[RANKING],
        shown[OPERATING],
        min(cell["shifted_auc"], default=None),
        sum(fall >= FALL for fall in falls[RANKING]),
        len(cell["seeds"]),
    )


def _falls(cell: Cell, clean: Cell, name: str) -> list[float]:
    """By how much each seed that both have is below the same unpoisoned."""
    before = dict(zip(clean["seeds"], clean[name], strict=True))  # type: ignore[literal-required]
    after = zip(cell["seeds"], cell[name], strict=True)  # type: ignore[literal-required]
    return [before[seed] - value for seed, value in after if seed in before]


def _unharmed(harms: Sequence[Harm]) -> list[str]:
    """Return who is not shown to be harmed by any kind, if others are."""
    harmed = {h.algorithm for h in harms if h.failed or h.ranking or h.operating}
    names = dict.fromkeys(harm.algorithm for harm in harms)
    return [name for name in names if name not in harmed] if harmed else []


def _told(kind: str, harms: Sequence[Harm]) -> str:
    """Say of one kind of poison whom it harms, and in what."""
    ranking = [harm for harm in harms if harm.failed or harm.ranking]
    operating = [harm for harm in harms if harm.operating and harm not in ranking]
    parts = []
    if ranking:
        parts.append(f"harms {listed([_named(harm) for harm in ranking])}")
    if operating:
        names = listed([harm.algorithm for harm in operating])
        parts.append(f"costs {names} balanced accuracy (not ranking)")
    return f"{kind} {listed(parts or ['is not shown to harm any algorithm'])}"


def _named(harm: Harm) -> str:
    """Name a harmed algorithm, and how far its worst seed fell."""
    if harm.failed:
        return f"{harm.algorithm} (a run came to no model)"
    if harm.fallen and harm.worst is not None:
        return (
            f"{harm.algorithm} (AUC down to {harm.worst:.3f}; by more than {100 * FALL:.0f} "
            f"points with {harm.fallen} of {harm.seeds} seeds)"
        )
    return harm.algorithm

"""X-rays in: who is held out, and which hospital gets whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fedmed import data
from fedmed.backbones.backbone import Backbone
from fedmed.data import films
from fedmed.data.audit import audit
from fedmed.data.audit import words as audit_words
from fedmed.data.cohort import Cohort, Xray, count, labels, patients
from fedmed.data.holdout import hold_out
from fedmed.data.partition import describe, split
from fedmed.experiment.settings import Settings
from fedmed.progress import step


@dataclass(frozen=True)
class Dealt:
    """The X-rays of a run."""

    cohort: Cohort
    training: Sequence[Xray]
    held_out: Sequence[Xray]
    parts: Sequence[np.ndarray]  # of each hospital, its places in `training`
    audit: dict[str, Any]  # the report's `data`

    @property
    def sites(self) -> list[str]:
        """The hospitals' names, in their order."""
        return [f"hospital_{number}" for number in range(1, len(self.parts) + 1)]

    @property
    def read(self) -> list[Xray]:
        """Every X-ray: those to train on, those held out, and the test split's, in this order."""
        return [*self.training, *self.held_out, *self.cohort.test]

    def judge_films(self, measures: np.ndarray) -> None:
        """Put into the audit, and say, which of `read` look wrong by what was measured of them."""
        self.audit["films"] = films.judge([xray.name for xray in self.read], measures)
        for line in films.words(self.audit["films"]):
            print(line, flush=True)

    def describe_partition(self, settings: Settings) -> dict[str, Any]:
        """Return the report's `partition`."""
        return describe(
            self.parts,
            patients(self.training),
            labels(self.training),
            scheme=settings.partition,
            alpha=settings.alpha,
            seed=settings.seed,
        )


def deal(settings: Settings, backbone: Backbone) -> Dealt:
    """Find the X-rays, hold patients out, and deal the others to hospitals.

    Raises:
        UserError: the data are not what they should be.
    """
    with step("Looking through the data"):
        cohort = data.load(
            settings.data,
            patients=settings.patients,
            classes=settings.classes,
            allow_overlap=settings.allow_overlap,
        )
    audited = audit(cohort)
    known = backbone.knows(cohort.about["title"])
    print(*audit_words(cohort, audited, known), sep="\n", flush=True)
    training, held_out = hold_out(cohort.train, seed=settings.seed)
    audited |= {
        "public_cohort": None,  # which older readers ask for
        "held_out": count(held_out),
        "training": count(training),
    }
    parts = split(
        patients(training),
        labels(training),
        hospitals=settings.hospitals,
        scheme=settings.partition,
        alpha=settings.alpha,
        seed=settings.seed,
    )
    return Dealt(cohort, training, held_out, parts, audited)

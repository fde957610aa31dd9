"""X-rays in: who is held out, and which hospital gets whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fedmed import data
from fedmed.backbones.backbone import Backbone
from fedmed.data.audit import audit
from fedmed.data.audit import words as audit_words
from fedmed.data.cohort import Cohort, Xray, count, labels, patients
from fedmed.data.holdout import hold_out
from fedmed.data.partition import split
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

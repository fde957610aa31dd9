"""What is known about a cohort before anybody trains on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from fedmed.data.cohort import Cohort, Xray, count, patients


def audit(cohort: Cohort) -> dict[str, Any]:
    """Counts, byte-identical repeats and patients in both splits, for the report's `data`."""
    return {
        "source": cohort.source,
        "hub_id": cohort.hub_id,
        "title": cohort.about["title"],
        "licence": cohort.about["licence"],
        "citation": cohort.about["citation"],
        "simulated": cohort.simulated,
        "patients_known": cohort.patients_known,
        "splits": {"train": count(cohort.train), "test": count(cohort.test)},
        "repeats": {
            "train": _repeats(cohort.train),
            "test": _repeats(cohort.test),
            "across": len({x.digest for x in cohort.train} & {x.digest for x in cohort.test}),
        },
        "patient_overlap": len(set(patients(cohort.train)) & set(patients(cohort.test))),
        "unreadable": [],
    }


def _repeats(xrays: Sequence[Xray]) -> int:
    """Images that are byte for byte another image of the same split."""
    return sum(times - 1 for times in Counter(x.digest for x in xrays).values())

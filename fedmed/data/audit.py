"""What is known about a cohort before anybody trains on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from fedmed.data.cohort import Cohort, Xray, count, patients
from fedmed.data.overlap import troubles


def audit(cohort: Cohort) -> dict[str, Any]:
    """Counts, byte-identical repeats and named troubles, for the report's `data`."""
    return {
        "source": cohort.source,
        "hub_id": cohort.hub_id,
        "title": cohort.about["title"],
        **{key: cohort.about[key] for key in ("description",) if key in cohort.about},
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
        "patients_told_by": cohort.patients_told_by,
        "test_split": cohort.test_split,
        "troubles": troubles(cohort),
        "unreadable": [],
    }


def words(cohort: Cohort, facts: dict[str, Any], known_to_backbone: bool) -> list[str]:
    """What whoever starts a run should be told of a cohort and its audit, a line a thing.

    `known_to_backbone` is whether X-rays of the same data set trained the backbone.
    """
    images = len(cohort.images)
    splits = " and ".join(
        f"{split['patients']:,} patients to {name}" for name, split in facts["splits"].items()
    )
    lines = [f"{cohort.about['title']}: {images:,} images, {splits}.", *cohort.notes]
    if repeats := facts["repeats"]["train"] + facts["repeats"]["test"]:
        lines.append(f"{repeats:,} images are byte for byte another one of their split.")
    for trouble in facts["troubles"]:
        names = f" ({'; '.join(trouble['examples'])})" if trouble["examples"] else ""
        lines.append(f"Trouble: {trouble['count']:,} times {trouble['kind']}{names}.")
    if known_to_backbone:
        lines.append(
            "Trouble: X-rays of this data set trained the backbone, among them some that are held "
            "out now: figures on validation are too good. Choose nothing by them."
        )
    return lines


def _repeats(xrays: Sequence[Xray]) -> int:
    """Images that are byte for byte another image of the same split."""
    return sum(times - 1 for times in Counter(x.digest for x in xrays).values())

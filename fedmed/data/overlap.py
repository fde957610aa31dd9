"""The same picture where it must not be twice: under both labels, or in train and test."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fedmed.data.cohort import Cohort, Xray, patients
from fedmed.data.trouble import NAMED
from fedmed.errors import UserError

BOTH_LABELS = "the same picture under both labels"
BOTH_SPLITS = "the same picture in train and test"
BOTH_PATIENTS = "patients in train and test"


def troubles(cohort: Cohort) -> list[dict[str, Any]]:
    """What is wrong with a cohort, one entry a kind: `kind`, `count` and some `examples`."""
    by_digest: dict[str, list[tuple[Xray, str]]] = {}
    for split, xrays in (("train", cohort.train), ("test", cohort.test)):
        for xray in xrays:
            by_digest.setdefault(xray.digest, []).append((xray, split))
    same = by_digest.values()
    labels = [those for those in same if len({xray.label for xray, _ in those}) > 1]
    splits = [those for those in same if len({split for _, split in those}) > 1]
    shared = sorted(set(patients(cohort.train)) & set(patients(cohort.test)))
    found = [
        (BOTH_LABELS, len(labels), _pairs(labels, lambda xray, _: xray.label)),
        (BOTH_SPLITS, len(splits), _pairs(splits, lambda _, split: split)),
        (BOTH_PATIENTS, len(shared), []),
    ]
    return [
        {"kind": kind, "count": count, "examples": examples}
        for kind, count, examples in found
        if count
    ]


def refuse(cohort: Cohort, where: str) -> None:
    """Raise UserError where a picture is under both labels, or in train and test."""
    lines = [
        f"{one['count']:,} times {one['kind']}: {'; '.join(one['examples'])}"
        + (" and more" if one["count"] > NAMED else "")
        for one in troubles(cohort)
        if one["kind"] in (BOTH_LABELS, BOTH_SPLITS)
    ]
    if lines:
        raise UserError(
            f"{where} would make every figure doubtful:\n  "
            + "\n  ".join(lines)
            + "\nRemove the wrong ones, or go on all the same with --allow-overlap."
        )


def _pairs(found: Iterable[list[tuple[Xray, str]]], side: Any) -> list[str]:
    """`name = name` of the first few, each pair from two sides."""
    pairs = []
    for those in list(found)[:NAMED]:
        first = those[0]
        other = next(one for one in those if side(*one) != side(*first))
        pairs.append(f"{first[0].name} = {other[0].name}")
    return pairs

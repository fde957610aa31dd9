"""A test split drawn where none is given."""

from __future__ import annotations

import hashlib
import random

import pytest

from fedmed.data.split import draw_test
from fedmed.errors import UserError


def cohort(many: int) -> list[tuple[str, int, str]]:
    """(patient, label, digest) of two images of each patient."""
    return [
        (f"p{n}", n % 2, hashlib.sha256(f"{n} {k}".encode()).hexdigest())
        for n in range(many)
        for k in range(2)
    ]


def drawn(rows: list[tuple[str, int, str]]) -> set[str]:
    patients, labels, digests = zip(*rows, strict=True)
    return draw_test(patients, labels, digests, where="--data x")


def test_a_fifth_of_the_patients_of_each_class() -> None:
    chosen = drawn(cohort(100))
    assert sum(int(p[1:]) % 2 for p in chosen) == 10
    assert len(chosen) == 20


def test_neither_order_nor_names_decide() -> None:
    rows = cohort(60)
    shuffled = random.Random(0).sample(rows, len(rows))
    assert drawn(shuffled) == drawn(rows)
    renamed = [(f"other {patient}", label, digest) for patient, label, digest in rows]
    assert drawn(renamed) == {f"other {patient}" for patient in drawn(rows)}


def test_with_more_patients_most_stay() -> None:
    before, after = drawn(cohort(400)), drawn(cohort(440))
    assert len(before - after) <= 8


def test_too_few_are_refused() -> None:
    assert len(drawn(cohort(6))) == 2
    with pytest.raises(UserError, match="2 patients with PNEUMONIA images are too few"):
        drawn(cohort(5))

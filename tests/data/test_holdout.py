"""Patients held out of train/: by patient, the same ones each time, both classes on both sides."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from fedmed.data.cohort import Xray, labels, patients
from fedmed.data.holdout import description, hold_out
from fedmed.errors import UserError
from tests.support.xrays import xrays


def train() -> list[Xray]:
    """Four kinds of patients, one to three images each; numbers overlap between kinds."""
    ill = [
        f"person{n}_{kind}_{image}.jpeg"
        for kind, many in (("bacteria", 100), ("virus", 60))
        for n in range(1, many)
        for image in range(n % 3 + 1)
    ]
    well = [f"{kind}-{n:04d}-0001.jpeg" for kind in ("IM", "NORMAL2-IM") for n in range(100, 180)]
    return xrays(ill, 1) + xrays(well, 0)


def kinds(held: list[Xray]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for patient in sorted(set(patients(held))):
        kind, _, number = patient.rpartition("-")
        found.setdefault(kind, []).append(int(number))
    return {kind: sorted(numbers) for kind, numbers in found.items()}


def test_no_patient_is_on_both_sides_and_no_image_is_lost() -> None:
    everything = train()
    training, validation = hold_out(everything, seed=42)
    assert not set(patients(training)) & set(patients(validation))
    assert sorted(x.name for x in training + validation) == sorted(x.name for x in everything)
    for side in (training, validation):
        assert set(labels(side)) == {0, 1}


def test_about_15_percent_of_every_kind_are_held_out() -> None:
    everything = train()
    _, validation = hold_out(everything, seed=42)
    held, of = kinds(validation), kinds(everything)
    assert held.keys() == of.keys()
    for kind, numbers in held.items():
        assert 0.1 < len(numbers) / len(of[kind]) < 0.2, kind


def test_what_is_held_out_are_blocks_of_consecutive_numbers() -> None:
    held = kinds(hold_out(train(), seed=42)[1])["bacteria"]
    gaps = sum(after - before > 1 for before, after in pairwise(held))
    assert gaps <= 2, "three blocks, at most two gaps between them"


def test_the_seed_alone_decides() -> None:
    everything = train()
    shuffled = random.Random(0).sample(everything, len(everything))
    first = {x.name for x in hold_out(everything, seed=1)[1]}
    assert {x.name for x in hold_out(shuffled, seed=1)[1]} == first
    assert {x.name for x in hold_out(everything, seed=2)[1]} != first


def test_names_without_patients_are_held_out_class_by_class() -> None:
    names = [f"scan-{n:03d}.png" for n in range(40)]
    training, validation = hold_out(xrays(names, 0) + xrays(names, 1), seed=0)
    assert [labels(validation).count(label) for label in (0, 1)] == [6, 6]
    assert len(training) == 68


def test_two_patients_of_each_class_are_enough() -> None:
    few = xrays(["IM-1.jpeg", "IM-2.jpeg"], 0) + xrays(["a-1.png", "a-2.png"], 1)
    training, validation = hold_out(few, seed=0)
    assert sorted(labels(training)) == sorted(labels(validation)) == [0, 1]


@pytest.mark.parametrize("label", [0, 1])
def test_a_side_without_a_class_is_refused(label: int) -> None:
    one = xrays(["IM-1-1.jpeg", "IM-1-2.jpeg"], label)
    many = xrays([f"person{n}_virus_1.jpeg" for n in range(9)], 1 - label)
    with pytest.raises(UserError, match="at least two patients of each class") as refusal:
        hold_out(one + many, seed=0)
    assert ("NORMAL", "PNEUMONIA")[label] in str(refusal.value)


def test_the_report_says_what_was_held_out() -> None:
    assert description(True).startswith("patients held out")
    assert description(False).startswith("images held out")

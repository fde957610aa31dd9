"""Which patient a file name stands for."""

from __future__ import annotations

import pytest

from fedmed.data.patients import key_patients, patient_of, patient_order


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("person7_bacteria_24.jpeg", "bacteria-7"),
        ("person7_virus_12.jpeg", "virus-7"),
        ("person447_virus_921_1.jpeg", "virus-447"),
        ("IM-0007-0001.jpeg", "IM-7"),
        ("IM-0007-0001-0002.jpeg", "IM-7"),
        ("NORMAL2-IM-0007-0001.jpeg", "NORMAL2-IM-7"),
        ("train/PNEUMONIA/person0012_virus_46.JPG", "virus-12"),
        ("sim-010000.png", "sim-10000"),
    ],
)
def test_the_kind_and_the_number_are_the_patient(name: str, patient: str) -> None:
    assert patient_of(name) == patient


@pytest.mark.parametrize(
    "name",
    [
        "scan.png",
        "person7.jpeg",
        "person7_fungus_1.jpeg",
        "person_bacteria_1.jpeg",
        "xperson7_virus_1.jpeg",
        "person7_virus_1 copy.jpeg",
        "IM.jpeg",
        "NORMAL-IM-0007-0001.jpeg",
        "IM-0007-0001.jpeg.bak.png",
    ],
)
def test_other_names_tell_no_patient(name: str) -> None:
    assert patient_of(name) is None


def test_kinds_are_numbered_apart() -> None:
    names = ["person7_bacteria_1", "person7_virus_1", "IM-0007-0001", "NORMAL2-IM-0007-0001"]
    assert len({patient_of(name) for name in names}) == 4


def test_without_a_patient_the_same_picture_is_the_same_patient() -> None:
    names = ["train/a.png", "train/b.png", "test/c.png", "person1_virus_2.jpeg"]
    keys = key_patients(names, ["same", "other", "same", "same"])
    assert keys == ["train/a.png", "train/b.png", "train/a.png", "virus-1"]


def test_patients_of_a_kind_are_in_the_order_of_their_numbers() -> None:
    keys = ["virus-10", "virus-9", "IM-100", "train/NORMAL/b.png", "train/NORMAL/a-1.png"]
    assert sorted(keys, key=patient_order) == [
        "IM-100",
        "train/NORMAL/a-1.png",
        "train/NORMAL/b.png",
        "virus-9",
        "virus-10",
    ]


def test_a_raised_digit_is_no_number() -> None:
    assert patient_order("scan-²") == ("scan-²", -1, "scan-²")

"""Which patient an image shows, whatever tells it."""

from __future__ import annotations

import pytest

from fedmed.data.patients import key_patients, named_patient, patient_order, public_patient
from tests.support.xrays import listed


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
        ("scan.png", None),
        ("person7.jpeg", None),
        ("person7_fungus_1.jpeg", None),
        ("person_bacteria_1.jpeg", None),
        ("xperson7_virus_1.jpeg", None),
        ("person7_virus_1 copy.jpeg", None),
        ("IM.jpeg", None),
        ("NORMAL-IM-0007-0001.jpeg", None),
        ("IM-0007-0001.jpeg.bak.png", None),
    ],
)
def test_the_public_data_sets_kind_and_number_are_the_patient(
    name: str, patient: str | None
) -> None:
    assert public_patient(name) == patient


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("person7_bacteria_24.jpeg", "person-bacteria-7"),
        ("BACTERIA-8550709-0001.jpeg", "mendeley-8550709"),
        ("VIRUS-8550709-0009.jpeg", "mendeley-8550709"),
        ("train/NORMAL/NORMAL-28501-0001.jpeg", "mendeley-28501"),
        ("00000013_005.png", "nih-13"),
        ("sim-010000.png", "sim-10000"),
        ("IM-0007-0001.dcm", None),
        ("IM-0007-0001.jpeg", None),
        ("NORMAL-1.png", None),
        ("0000013_005.png", None),
    ],
)
def test_names_that_tell_a_patient_in_any_data_set(name: str, patient: str | None) -> None:
    assert named_patient(name) == patient


def test_what_tells_a_patient_goes_in_order() -> None:
    name = "00000013_005.png"
    everything = {"told": "Ann", "pseudonym": "c0ffee", "folder": "p1"}
    for number, teller in enumerate(("told", "dicom", "name")):
        left = dict(list(everything.items())[number:])
        [key], tellers = key_patients([listed(name, **left)], public=False)
        assert list(tellers) == [teller]
    assert key == "nih-13"
    [key], tellers = key_patients([listed("scan.png", folder="p1")], public=False)
    assert (key, list(tellers)) == ("folder-p1", ["folder"])
    [key], tellers = key_patients([listed("scan.png")], public=False)
    assert (key, list(tellers)) == ("scan.png", ["nobody"])


def test_the_same_picture_is_the_same_patient_whatever_told_them() -> None:
    images = [
        listed("a/NORMAL-1-0001.jpeg", digest="d"),
        listed("a/copy of it.jpeg", digest="d"),
        listed("b/NORMAL-2-0001.jpeg", digest="e"),
        listed("b/NORMAL-1-0002.jpeg", digest="e"),
        listed("b/NORMAL-2-0002.jpeg", digest="f"),
        listed("b/another.jpeg", digest="g"),
    ]
    keys, tellers = key_patients(images, public=False)
    assert len(set(keys[:5])) == 1, "one picture ties each pair"
    assert keys[0] == "mendeley-1"
    assert keys[5] == "b/another.jpeg"
    assert tellers == {"name": 5, "nobody": 1}
    assert key_patients(images[::-1], public=False)[0][0] == "b/another.jpeg"


def test_dicom_patients_are_in_the_order_of_their_files_whatever_the_pseudonyms() -> None:
    def order(*pseudonyms: str) -> list[int]:
        images = [listed(f"{n}.dcm", pseudonym=one) for n, one in enumerate(pseudonyms)]
        keys, _ = key_patients(images, public=False)
        return [sorted(set(keys), key=patient_order).index(key) for key in keys]

    assert order("f", "a", "f", "0") == order("1", "2", "1", "3") == [0, 1, 0, 2]


def test_an_id_that_most_files_share_tells_no_patient() -> None:
    shared = [listed(f"{n}.dcm", pseudonym="same") for n in range(30)]
    own = [listed(f"own-{n}.dcm", pseudonym=f"p{n}") for n in range(8)]
    keys, tellers = key_patients(shared + own, public=False)
    assert len(set(keys)) == 38
    assert tellers == {"nobody": 30, "dicom": 8}
    few, _ = key_patients(shared[:20], public=False)
    assert len(set(few)) == 1, "twenty films of one patient may well be"


def test_a_folder_of_very_many_images_is_no_patients() -> None:
    images = [listed(f"PNEUMONIA/virus/{n}.png", folder="virus") for n in range(51)]
    assert len(set(key_patients(images, public=False)[0])) == 51
    assert len(set(key_patients(images[:50], public=False)[0])) == 1


def test_kinds_are_numbered_apart() -> None:
    names = ["person7_bacteria_1", "person7_virus_1", "IM-0007-0001", "NORMAL2-IM-0007-0001"]
    assert len({public_patient(name) for name in names}) == 4


def test_patients_of_a_kind_are_in_the_order_of_their_numbers() -> None:
    keys = ["virus-10", "virus-9", "IM-100", "train/NORMAL/b.png", "train/NORMAL/a-1.png"]
    assert sorted(keys, key=patient_order) == [
        "train/NORMAL/a-1.png",
        "train/NORMAL/b.png",
        "IM-100",
        "virus-9",
        "virus-10",
    ]


def test_a_raised_digit_is_no_number() -> None:
    assert patient_order("scan-²") == ("", -1, "scan-²")

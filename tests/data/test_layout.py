"""Own data without ceremony: how folders may lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedmed.data.folder import read_folder
from fedmed.data.overlap import troubles
from fedmed.errors import UserError
from tests.support.xrays import write_folder

CLASSES = ("NORMAL", "PNEUMONIA")


def names(splits: tuple[str, ...], classes: tuple[str, ...] = CLASSES, many: int = 2) -> list[str]:
    return [f"{s}/{c}/{s}-{c}-{n}.png" for s in splits for c in classes for n in range(many)]


def test_the_kaggle_archive_as_it_unzips(tmp_path: Path) -> None:
    inner = names(("train", "test", "val"))
    write_folder(tmp_path / "chest_xray", inner)
    write_folder(tmp_path / "chest_xray/chest_xray", inner)
    write_folder(tmp_path / "chest_xray/__MACOSX/chest_xray/train/NORMAL", ["._a.png"])
    write_folder(tmp_path / "__MACOSX", ["._b.png"])
    cohort = read_folder(tmp_path)
    assert [xray.name for xray in cohort.images] == names(("train", "test"))
    said = "\n".join(cohort.notes)
    assert "read from chest_xray/" in said
    assert "val/ (4 files) is left out" in said
    assert "left out: chest_xray/." in said
    assert read_folder(tmp_path / "chest_xray").about["title"] == "chest_xray"


def test_names_in_any_case_and_other_words_for_splits(tmp_path: Path) -> None:
    root = write_folder(tmp_path, names(("Training", "TESTING"), ("Normal", "pneumonia")))
    cohort = read_folder(root)
    assert [xray.label for xray in cohort.train] == [0, 0, 1, 1]
    assert [xray.name[:8] for xray in cohort.test] == ["TESTING/"] * 4


def test_without_a_test_split_the_validation_split_is_it(tmp_path: Path) -> None:
    cohort = read_folder(write_folder(tmp_path, names(("train", "val"))))
    assert {xray.name[:4] for xray in cohort.test} == {"val/"}
    assert "There is no test/: val/ is used as the test split." in cohort.notes


@pytest.mark.parametrize("top", ["", "train/"])
def test_without_any_other_split_one_is_drawn_by_patient(top: str, tmp_path: Path) -> None:
    files = [f"{top}{c}/{c}-p{n // 2}-{n}.png" for c in CLASSES for n in range(20)]
    cohort = read_folder(write_folder(tmp_path, files), patients=r"(\w+-p\d+)-")
    train, test = ({xray.patient for xray in side} for side in (cohort.train, cohort.test))
    assert not train & test
    assert (len(train), len(test)) == (16, 4)
    assert cohort.test_split.startswith("a fifth")
    assert any(note.startswith("No test split is given: 4 of 20 patients") for note in cohort.notes)
    again = read_folder(tmp_path)
    assert "counts as its own patient" in again.notes[-1]


def test_too_few_patients_to_draw_from_are_named(tmp_path: Path) -> None:
    root = write_folder(tmp_path, [f"{c}/{n}.png" for c in CLASSES for n in range(2)])
    with pytest.raises(UserError, match=r"2 patients with NORMAL images are too few"):
        read_folder(root)


def test_a_folder_is_a_patient(tmp_path: Path) -> None:
    files = [
        f"{s}/{c}/{s}{c}{n // 2}/study1/view{n % 2}.png"
        for s in ("train", "test")
        for c in CLASSES
        for n in range(4)
    ]
    cohort = read_folder(write_folder(tmp_path, files))
    assert cohort.patients_known
    assert len({xray.patient for xray in cohort.train}) == 4
    assert cohort.train[0].patient == cohort.train[1].patient == "folder-trainNORMAL0"
    assert cohort.notes == ("8 patients, told by folders.",)


def test_folders_of_other_names_are_what_classes_says(tmp_path: Path) -> None:
    files = names(("train", "test"), ("normal", "bacterial", "viral", "lateral"))
    root = write_folder(tmp_path, files)
    cohort = read_folder(root, classes="bacterial=PNEUMONIA,viral=PNEUMONIA,lateral=")
    assert [xray.label for xray in cohort.train] == [0, 0, 1, 1, 1, 1]
    assert "train/lateral/ is left out, as --classes says." in cohort.notes
    with pytest.raises(UserError, match="train/lateral/ is no class known here"):
        read_folder(root)


def test_two_data_sets_in_one_folder_are_not_guessed_between(tmp_path: Path) -> None:
    for place in ("a", "b"):
        write_folder(tmp_path / place, names(("train", "test")))
    with pytest.raises(UserError, match="several data sets: a/, b/"):
        read_folder(tmp_path)


def test_copies_lie_with_their_originals(tmp_path: Path) -> None:
    root = write_folder(tmp_path, names(("train", "test"), many=4))
    for name in names(("train",), many=4):
        copy = (root / name).with_name(f"copy of {Path(name).name}")
        copy.write_bytes((root / name).read_bytes())
    cohort = read_folder(root)
    assert len(cohort.train) == 16 and len({xray.patient for xray in cohort.train}) == 8
    assert troubles(cohort) == []

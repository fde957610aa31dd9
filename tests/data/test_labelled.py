"""A CSV beside the images in place of folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedmed import data
from fedmed.data.folder import read_folder
from fedmed.errors import UserError
from tests.support.xrays import write_folder


def lay(root: Path, lines: list[str], header: str = "image,label", **more: str) -> Path:
    """Ten images, five of each class, in `images/`, and `labels.csv` with these lines."""
    write_folder(root, [f"images/{n}.png" for n in range(10)])
    (root / "labels.csv").write_text("\n".join([header, *lines]) + "\n", **(more or {}))
    return root


def rows(more: str = "") -> list[str]:
    return [f"images/{n}.png,{'normal' if n < 5 else 'Pneumonia'}{more}" for n in range(10)]


def refusal(root: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_folder(root)
    return str(caught.value)


def test_classes_patients_and_splits_are_read(tmp_path: Path) -> None:
    lines = [
        f"images/{n}.png,{('PNEUMONIA', 'NORMAL')[n % 2]},p{n // 4},{('TRAIN', 'test')[n > 7]}"
        for n in range(10)
    ]
    cohort = read_folder(lay(tmp_path, lines, "Image,Label,Patient,Split"))
    assert (len(cohort.train), len(cohort.test)) == (8, 2)
    assert {xray.patient for xray in cohort.train} == {"patient-p0", "patient-p1"}
    assert [xray.label for xray in cohort.test] == [0, 1]
    assert cohort.patients_known
    assert cohort.notes[0] == "labels.csv gives the class of 10 images."
    assert cohort.train[0].load().size == (40, 40)


@pytest.mark.parametrize("given", [".", "labels.csv"])
def test_the_folder_or_the_file_may_be_given(given: str, tmp_path: Path) -> None:
    root = lay(tmp_path / "clinic", rows())
    cohort = data.load(str(root / given))
    assert len(cohort.images) == 10
    assert cohort.about["title"] == "clinic"
    assert any("No test split is given" in note for note in cohort.notes)


def test_it_may_come_from_a_spreadsheet(tmp_path: Path) -> None:
    lines = [row.replace(",", ";").replace("/", "\\") for row in rows()]
    root = lay(tmp_path, lines, "image;label", encoding="utf-8-sig")
    assert len(read_folder(root).images) == 10


def test_a_files_name_is_enough_where_one_file_has_it(tmp_path: Path) -> None:
    root = lay(tmp_path, [row.removeprefix("images/").replace(".png", "") for row in rows()])
    assert len(read_folder(root).images) == 10
    write_folder(root / "more", ["3.png"])
    assert "3: several files are called so; give paths" in refusal(root)


def test_what_is_wrong_is_one_line_a_kind(tmp_path: Path) -> None:
    lines = [row.replace("normal", "COVID") for row in rows()]
    message = refusal(lay(tmp_path, lines))
    assert message.count("label 'COVID' is no class known here") == 1
    assert "5 files: images/0.png, images/1.png, images/2.png and 2 more" in message


def test_numbers_are_classes_where_it_is_said(tmp_path: Path) -> None:
    root = lay(tmp_path, [f"{n}.png,{n % 2}" for n in range(10)])
    assert "--classes '0=" in refusal(root)
    cohort = read_folder(root, classes="0=NORMAL,1=PNEUMONIA")
    assert sum(xray.label for xray in cohort.images) == 5


def test_what_is_not_there_or_not_named_is_said(tmp_path: Path) -> None:
    root = lay(tmp_path, [*rows(), "images/gone.png,NORMAL", "../other.png,NORMAL"])
    write_folder(root, ["images/spare.png"])
    said = "\n".join(read_folder(root).notes)
    assert "2 images of labels.csv are not here: images/gone.png, ../other.png." in said
    assert "1 files that labels.csv does not name are left out." in said


def test_two_rows_of_one_image_must_agree(tmp_path: Path) -> None:
    assert "two rows say different things" in refusal(lay(tmp_path, [*rows(), "0.png,PNEUMONIA"]))
    (tmp_path / "labels.csv").write_text("\n".join(["image,label", *rows(), rows()[0]]))
    assert len(read_folder(tmp_path).images) == 10


def test_validation_rows_are_left_out_or_the_test_split(tmp_path: Path) -> None:
    def split(words: str) -> list[str]:
        return [f"{row},{words.split()[n % 5]}" for n, row in enumerate(rows())]

    header = "image,label,split"
    cohort = read_folder(lay(tmp_path / "a", split("train train train val test"), header))
    assert (len(cohort.train), len(cohort.test)) == (6, 2)
    assert any("2 images of the split val are left out" in note for note in cohort.notes)
    cohort = read_folder(lay(tmp_path / "b", split("train train train val val"), header))
    assert (len(cohort.train), len(cohort.test)) == (6, 4)
    some = lay(tmp_path / "c", [*split("train train train test test")[:9], rows()[9]], header)
    assert "1 of 10 images have no split" in refusal(some)
    assert "split 'x' is not train, test or val" in refusal(
        lay(tmp_path / "d", split("x train train test test"), header)
    )


def test_tables_named_after_splits(tmp_path: Path) -> None:
    root = lay(tmp_path, [])
    (root / "labels.csv").unlink()
    for name, part in (("train", slice(0, 10, 2)), ("test", slice(1, 10, 2))):
        (root / f"{name}.csv").write_text("\n".join(["image,label", *rows()[part]]))
    cohort = read_folder(root)
    assert (len(cohort.train), len(cohort.test)) == (5, 5)


def test_other_columns_are_named(tmp_path: Path) -> None:
    root = lay(tmp_path, rows(), "file,finding")
    assert "labels.csv has no columns image and label, but file, finding" in refusal(root)
    assert "found file, finding" in refusal(root / "labels.csv")


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    (lay(tmp_path, []) / "labels.csv").write_bytes(b"\xff\xfe\0image")
    assert "not UTF-8" in refusal(tmp_path)
    (tmp_path / "labels.csv").write_text('image,label\n"a\n')
    assert "is no table" in refusal(tmp_path)

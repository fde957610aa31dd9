"""A folder of X-rays: what is read, and one message for all that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from fedmed import data
from fedmed.data.folder import read_folder
from fedmed.errors import UserError
from fedmed.task import DATASET
from tests.support.xrays import write_folder

NAMES = [
    "train/NORMAL/IM-0115-0001.jpeg",
    "train/NORMAL/IM-0117-0001.jpeg",
    "train/PNEUMONIA/person1_bacteria_1.jpeg",
    "test/NORMAL/IM-0001-0001.jpeg",
    "test/PNEUMONIA/person1_virus_6.jpeg",
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "xrays", NAMES)


def listing(root: Path) -> list[str]:
    return sorted(path.as_posix() for path in root.rglob("*"))


def refusal(root: Path) -> str:
    before = listing(root.parent)
    with pytest.raises(UserError) as caught:
        read_folder(root)
    assert listing(root.parent) == before, "nothing may be written"
    return str(caught.value)


def test_splits_labels_and_patients_are_read(root: Path) -> None:
    cohort = read_folder(root)
    assert [xray.name for xray in cohort.images] == NAMES
    assert [xray.label for xray in cohort.images] == [0, 0, 1, 0, 1]
    assert [xray.patient for xray in cohort.train] == ["IM-115", "IM-117", "bacteria-1"]
    assert cohort.patients_known
    assert cohort.about == DATASET and cohort.public
    assert not cohort.simulated
    assert cohort.train[1].load().getpixel((0, 0)) == 1


def test_clutter_and_a_third_split_are_passed_over(root: Path) -> None:
    for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
        (root / "train/NORMAL" / name).write_bytes(b"?")
    (root / "train/.ipynb_checkpoints").mkdir()
    write_folder(root, ["val/NORMAL/IM-9.jpeg"])
    assert [xray.name for xray in read_folder(root).images] == NAMES


def test_the_digest_is_of_the_bytes(root: Path, tmp_path: Path) -> None:
    copy = write_folder(tmp_path / "copy", NAMES)
    assert [x.digest for x in read_folder(copy).images] == [
        x.digest for x in read_folder(root).images
    ]
    Image.new("L", (40, 40), 99).save(copy / NAMES[0], "PNG")
    assert read_folder(copy).train[0].digest != read_folder(root).train[0].digest


def test_everything_wrong_is_in_one_message(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "xrays", ["train/COVID/a.png", "train/normal/b.png"])
    (root / "train/PNEUMONIA/patient 1").mkdir(parents=True)
    (root / "test").mkdir()
    message = refusal(root)
    assert str(root) in message
    for part in (
        "train/COVID/ is no class known here (NORMAL, PNEUMONIA)",
        "--classes 'COVID=PNEUMONIA'",
        "train/PNEUMONIA/ holds no image",
        "test/NORMAL/ is missing",
        "test/PNEUMONIA/ is missing",
    ):
        assert part in message


def test_an_empty_class_is_named(root: Path) -> None:
    (root / NAMES[3]).unlink()
    (root / "test/NORMAL/.DS_Store").write_bytes(b"?")
    assert "test/NORMAL/ holds no image" in refusal(root)


def test_a_file_for_a_class_is_a_missing_class(root: Path) -> None:
    (root / NAMES[4]).unlink()
    (root / "test/PNEUMONIA").rmdir()
    (root / "test/PNEUMONIA").write_bytes(b"?")
    assert "test/PNEUMONIA/ is missing" in refusal(root)


def test_links_to_nowhere_are_listed_together(root: Path) -> None:
    (root / "train/NORMAL/IM-1.jpeg").symlink_to("../../annex/objects/1")
    (root / "test/NORMAL/IM-2.jpeg").symlink_to("../../annex/objects/2")
    message = refusal(root)
    told = "2 files: test/NORMAL/IM-2.jpeg, train/NORMAL/IM-1.jpeg: cannot be read: No such file"
    assert told in message


def test_no_folder_and_no_directory_are_told_apart(tmp_path: Path) -> None:
    assert "no such folder" in refusal(tmp_path / "none")
    (tmp_path / "xrays.zip").write_bytes(b"?")
    assert "is a file" in refusal(tmp_path / "xrays.zip")


def test_names_without_patients_make_each_image_its_own(tmp_path: Path) -> None:
    names = [
        f"{split}/{label}/scan {n}.png"
        for split in ("train", "test")
        for n in (1, 2)
        for label in ("NORMAL", "PNEUMONIA")
    ]
    cohort = read_folder(write_folder(tmp_path / "clinic", names))
    assert not cohort.patients_known
    assert len({xray.patient for xray in cohort.images}) == len(names)
    assert cohort.about == {"title": "clinic", "licence": "unknown", "citation": ""}


def test_one_name_without_a_patient_is_enough_to_say_so(root: Path) -> None:
    Image.new("L", (40, 40), 99).save(root / "train/PNEUMONIA/scan.png")
    cohort = read_folder(root)
    assert not cohort.patients_known
    assert "4 of 6 images tell none" in cohort.notes[-1]


def test_simulated_names_never_pass_for_real_patients(tmp_path: Path) -> None:
    names = [
        f"{s}/{c}/sim-{n:06d}.png"
        for s in ("train", "test")
        for n, c in enumerate(("NORMAL", "PNEUMONIA"))
    ]
    cohort = read_folder(write_folder(tmp_path / "films", names))
    assert cohort.simulated
    assert "Simulated" in cohort.about["title"]
    assert cohort.source == "folder"


def test_the_title_is_the_folders_name_not_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{s}/{c}/a.png" for s in ("train", "test") for c in ("NORMAL", "PNEUMONIA")]
    monkeypatch.chdir(write_folder(tmp_path / "clinic", names))
    assert read_folder(Path()).about["title"] == "clinic"


@pytest.mark.parametrize("data_option", ["./no/where", "../none", "none", "/no/where", "a/b/c"])
def test_what_looks_like_a_path_is_not_asked_of_the_hub(data_option: str) -> None:
    with pytest.raises(UserError, match="no such folder"):
        data.load(data_option)


def test_an_existing_folder_goes_before_the_hub(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root.parent.parent)
    relative = f"{root.parent.name}/{root.name}"
    assert data.load(relative).source == "folder"

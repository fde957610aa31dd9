"""The same picture under both labels, or in train and test."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedmed import data
from fedmed.data.audit import audit, words
from fedmed.data.overlap import BOTH_LABELS, BOTH_PATIENTS, BOTH_SPLITS
from fedmed.errors import UserError
from tests.support.xrays import write_folder

NAMES = [
    f"{s}/{c}/{s}{c}{n}.png"
    for s in ("train", "test")
    for c in ("NORMAL", "PNEUMONIA")
    for n in "ab"
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "clinic", NAMES)


def copy(root: Path, name: str, to: str) -> None:
    (root / to).write_bytes((root / name).read_bytes())


def test_under_both_labels_is_refused_and_named(root: Path) -> None:
    copy(root, NAMES[0], "train/PNEUMONIA/again.png")
    with pytest.raises(UserError) as caught:
        data.load(str(root))
    assert f"1 times {BOTH_LABELS}: {NAMES[0]} = train/PNEUMONIA/again.png" in str(caught.value)
    assert "--allow-overlap" in str(caught.value)
    cohort = data.load(str(root), allow_overlap=True)
    [trouble] = audit(cohort)["troubles"]
    assert (trouble["kind"], trouble["count"]) == (BOTH_LABELS, 1)
    assert any(BOTH_LABELS in line for line in words(cohort, audit(cohort), False))


def test_in_train_and_test_is_refused_and_named(root: Path) -> None:
    for n, name in enumerate(NAMES[:4]):
        copy(root, name, f"test/{name.split('/')[1]}/again{n}.png")
    with pytest.raises(UserError) as caught:
        data.load(str(root))
    assert f"4 times {BOTH_SPLITS}: " in str(caught.value)
    assert "and more" in str(caught.value) and "again3" not in str(caught.value)
    found = audit(data.load(str(root), allow_overlap=True))
    kinds = {one["kind"]: one["count"] for one in found["troubles"]}
    assert kinds == {BOTH_SPLITS: 4, BOTH_PATIENTS: 4}
    assert found["patient_overlap"] == found["repeats"]["across"] == 4


def test_a_repeat_of_one_label_in_one_split_is_none(root: Path) -> None:
    copy(root, NAMES[0], "train/NORMAL/again.png")
    cohort = data.load(str(root))
    facts = audit(cohort)
    assert facts["troubles"] == [] and facts["repeats"]["train"] == 1
    assert "1 images are byte for byte another one of their split." in words(cohort, facts, False)


def test_a_patient_in_both_splits_is_a_trouble_and_no_refusal(root: Path) -> None:
    cohort = data.load(str(root), patients=r"(a|b)\.png")
    [trouble] = audit(cohort)["troubles"]
    assert (trouble["kind"], trouble["count"]) == (BOTH_PATIENTS, 2)

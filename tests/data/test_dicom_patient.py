"""DICOM Patient IDs: told apart, hidden by a key of the owner's, placeholders passed over."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from fedmed.data.dicom_patient import owners_key, patient_id, pseudonyms
from fedmed.data.folder import read_folder
from fedmed.data.holdout import hold_out
from fedmed.errors import UserError


def dicom(patient: str | None, level: int = 0) -> bytes:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1", generate_uid()
    if patient is not None:
        dataset.PatientID = patient
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows = dataset.Columns = 40
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.PixelData = np.full((40, 40), level, np.uint8).tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("FEDMED_PATIENT_KEY", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "fedmed" / "patients.key"


@pytest.fixture
def clinic(tmp_path: Path) -> Path:
    """Two films of each of ten patients a class, named so that names tell nothing."""
    for split in ("train", "test"):
        for title in ("NORMAL", "PNEUMONIA"):
            folder = tmp_path / "clinic" / split / title
            folder.mkdir(parents=True)
            for n in range(20):
                film = dicom(f"{split}-{title}-{n % 10}", n)
                (folder / f"IM-{n:04d}-0001.dcm").write_bytes(film)
    return tmp_path / "clinic"


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("MRN 0042", "MRN 0042"),
        (" 7 ", "7"),
        (None, None),
        ("", None),
        ("ANONYMOUS", None),
        ("000", None),
        ("removed", None),
    ],
)
def test_an_id_is_read_unless_it_stands_for_nobody(
    given: str | None, read: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "a"
    path.write_bytes(dicom(given))
    assert patient_id(path) == read


def test_other_files_and_damaged_ones_tell_none(tmp_path: Path) -> None:
    whole = dicom("7")
    for content in (b"", b"\x89PNG", bytes(128) + b"DICM", whole[:140], whole[:132] + b"\xff" * 99):
        (tmp_path / "a").write_bytes(content)
        assert patient_id(tmp_path / "a") is None


def test_a_deflated_file_is_not_inflated_to_be_asked(tmp_path: Path) -> None:
    head = bytes(128) + b"DICM"
    syntax = b"\x02\0\x10\0UI\x16\x001.2.840.10008.1.2.1.99"
    (tmp_path / "a").write_bytes(head + syntax + b"\x03\0")
    assert patient_id(tmp_path / "a") is None


def test_patients_are_those_of_the_header(clinic: Path) -> None:
    cohort = read_folder(clinic)
    assert cohort.patients_known and cohort.patients_told_by == {"dicom": 80}
    assert len({xray.patient for xray in cohort.train}) == 20
    assert cohort.train[0].patient == cohort.train[10].patient != cohort.train[1].patient
    assert cohort.notes == ("40 patients, told by DICOM Patient ID.",)
    assert cohort.about["title"] == "clinic"


def test_no_id_is_in_what_a_run_keeps(clinic: Path) -> None:
    told = {xray.patient for xray in read_folder(clinic).images}
    assert not any("train-" in patient or "test-" in patient for patient in told)


def test_another_key_makes_other_pseudonyms_and_the_same_split(clinic: Path, key: Path) -> None:
    first = read_folder(clinic)
    key.write_bytes(bytes(32))
    second = read_folder(clinic)
    assert first.train[0].patient != second.train[0].patient
    sides = [[x.name for x in hold_out(cohort.train, seed=1)[1]] for cohort in (first, second)]
    assert sides[0] == sides[1]


def test_the_key_is_made_once_and_is_the_owners_alone(key: Path) -> None:
    first = owners_key()
    assert len(first) == 32 and owners_key() == first == key.read_bytes()
    assert [path.name for path in key.parent.iterdir()] == ["patients.key"]
    if os.name == "posix":
        assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_no_key_is_made_where_nobody_has_an_id(tmp_path: Path, key: Path) -> None:
    (tmp_path / "a").write_bytes(dicom(None))
    assert pseudonyms()(tmp_path / "a") is None
    assert not key.exists()


def test_a_key_that_is_none_is_refused(key: Path) -> None:
    key.parent.mkdir(parents=True)
    key.write_bytes(b"short")
    with pytest.raises(UserError, match="holds no key of 32 bytes"):
        owners_key()


def test_a_key_that_cannot_be_kept_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("FEDMED_PATIENT_KEY", str(tmp_path / "file" / "key"))
    with pytest.raises(UserError, match="FEDMED_PATIENT_KEY=FILE puts it elsewhere"):
        owners_key()

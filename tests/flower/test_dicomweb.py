"""X-rays from a DICOMweb service: copied once, read as files are, and every fault in words."""

from __future__ import annotations

import csv
import stat
from pathlib import Path

import pytest

from fedmed import hospital as command
from fedmed.data.dicom_patient import patient_id
from fedmed.errors import UserError
from fedmed.flower import dicomweb, dicomweb_answers, keys
from fedmed.flower.dicomweb import Service
from fedmed.flower.dicomweb_copy import copy
from fedmed.flower.premises import Premises
from tests.support.dicom_files import saved
from tests.support.dicomweb_server import CR, Archive, basic, exam, multipart, serving

pytest.importorskip("dicomweb_client")

EXAMS = 12


@pytest.fixture(autouse=True)
def at_once(monkeypatch, tmp_path):
    monkeypatch.setattr(dicomweb, "PAUSES", (0.0, 0.0))
    monkeypatch.setenv("FEDMED_PATIENT_KEY", str(tmp_path / "patients.key"))
    for name in (*dicomweb.SECRETS, dicomweb.AUTHORITY):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def archive():
    images = [image for number in range(EXAMS) for image in exam(number)]
    with serving(Archive(images)) as served:
        yield served


def labels(path: Path, column: str, names: list[str]) -> Path:
    """A table in which every other image or exam shows pneumonia."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([column, "label"])
        writer.writerows([name, ("NORMAL", "PNEUMONIA")[i % 2]] for i, name in enumerate(names))
    return path


def by_image(tmp_path: Path, archive: Archive) -> Path:
    uids = [image.SOPInstanceUID for image in archive.images]
    return labels(tmp_path / "images.csv", "SOP Instance UID", uids)


def by_exam(tmp_path: Path, count: int = EXAMS) -> Path:
    return labels(tmp_path / "exams.csv", "accession_number", [f"A{i}" for i in range(count)])


def test_a_copy_is_what_the_archive_holds_and_is_read_as_files_are(archive, tmp_path):
    table = copy(archive.address, by_image(tmp_path, archive), tmp_path / "home")
    for image in archive.images:
        path = table.with_name(f"{image.SOPInstanceUID}.dcm")
        assert path.read_bytes() == saved(image)
        assert patient_id(path) == image.PatientID
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(table.parent.stat().st_mode) == 0o700
    here = Premises.open("here", str(table), tmp_path / "home")
    assert here.cohort.patients_told_by == {"dicom": EXAMS}
    assert len(here.cohort.images) == EXAMS
    assert "MRN" not in str(here.cohort) and "It would train on" in here.words()


def test_nothing_is_asked_for_twice(archive, tmp_path):
    first = copy(archive.address, by_image(tmp_path, archive), tmp_path / "home")
    asked = len(archive.asked)
    assert copy(archive.address + "/", by_image(tmp_path, archive), tmp_path / "home") == first
    assert len(archive.asked) == asked
    # Other labels, the same X-rays: they are searched for, but lie there.
    other = copy(archive.address, by_exam(tmp_path), tmp_path / "home")
    assert other.parent == first.parent and archive.retrieved() == EXAMS


def test_what_was_broken_off_goes_on(archive, tmp_path):
    archive.fault = lambda path: (500, {}, b"") if archive.retrieved() > 5 else None
    with pytest.raises(
        UserError, match=r"failed to answer the X-ray .* \(500\).*Run again"
    ) as told:
        copy(archive.address, by_image(tmp_path, archive), tmp_path / "home")
    assert told.value.exit_status == 1
    archive.fault = lambda path: None
    archive.asked.clear()
    table = copy(archive.address, by_image(tmp_path, archive), tmp_path / "home")
    assert archive.retrieved() == EXAMS - 5
    assert len([*table.parent.glob("*.dcm")]) == EXAMS


def test_a_fault_that_passes_is_borne(archive, tmp_path):
    archive.fault = lambda path: (503, {}, b"") if len(archive.asked) % 3 else None
    copy(archive.address, by_image(tmp_path, archive), tmp_path / "home")
    assert archive.retrieved() == 3 * EXAMS


def test_of_an_exam_the_frontal_radiographs_are_taken(tmp_path, capsys):
    images = [*exam(0, "PA", "LL"), *exam(1, "AP"), *exam(2, ""), *exam(3, "LL")]
    images += [*exam(4, SOPClassUID="1.2.840.10008.5.1.4.1.1.7"), *exam(5, SOPClassUID=CR)]
    for image in images:  # the file says what the search says
        image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    with serving(Archive(images)) as archive:
        table = copy(archive.address, by_exam(tmp_path, 6), tmp_path / "home")
    wanted = [images[place].SOPInstanceUID for place in (0, 2, 3, 6)]
    assert {path.stem for path in table.parent.glob("*.dcm")} == set(wanted)
    assert "Without a frontal X-ray: 2: A3, A4." in capsys.readouterr().out


def test_what_vanishes_is_told_and_left_out(archive, tmp_path, capsys):
    table = by_image(tmp_path, archive)
    gone = [archive.images[0].SOPInstanceUID, archive.images[1].SOPInstanceUID]
    archive.images = archive.images[1:]  # one before it is searched for, one after
    archive.fault = lambda path: (410, {}, b"") if f"/instances/{gone[1]}" in path else None
    copied = copy(archive.address, table, tmp_path / "home")
    assert "Not there: 2 of them" in capsys.readouterr().out
    here = Premises.open("here", str(copied), tmp_path / "home")
    assert len(here.cohort.images) == EXAMS - 2
    assert any("2 images" in note and "are not here" in note for note in here.cohort.notes)


def test_an_archive_without_any_of_it_is_refused(archive, tmp_path):
    archive.images = []
    for table in (by_exam(tmp_path), labels(tmp_path / "x.csv", "SOPInstanceUID", ["1.2"])):
        with pytest.raises(UserError, match=r"has none of the .* of --labels"):
            copy(archive.address, table, tmp_path / "home")


def test_an_archive_that_knows_no_filter_gives_no_label_to_another_exam(archive, tmp_path):
    archive.deaf = True
    for image in archive.images:
        found = Service(archive.address, {}).with_uid(image.SOPInstanceUID)
        assert [one.uid for one in found] == [image.SOPInstanceUID]
    table = copy(archive.address, by_exam(tmp_path), tmp_path / "home")
    rows = csv.DictReader(table.open())
    told = {row["image"].removesuffix(".dcm"): row["label"] for row in rows}
    assert told == {
        image.SOPInstanceUID: ("NORMAL", "PNEUMONIA")[i % 2]
        for i, image in enumerate(archive.images)
    }


def test_another_xray_than_was_asked_for_is_refused(archive, tmp_path):
    other = multipart(saved(archive.images[1]))
    archive.fault = lambda path: other if "/instances/" in path else None
    table = labels(tmp_path / "x.csv", "SOPInstanceUID", [archive.images[0].SOPInstanceUID])
    with pytest.raises(UserError, match="answers with another X-ray than"):
        copy(archive.address, table, tmp_path / "home")


ELSEWHERE = {"Location": "https://login.example/?next=secret"}
PAGE = {"Content-Type": "text/html"}
FAULTS = [
    (lambda path: (401, {}, b""), r"wants credentials \(401\): set FEDMED_DICOMWEB_USER"),
    (lambda path: (403, {}, b""), r"does not let this account have a search \(403\)"),
    (lambda path: (404, {}, b""), r"no DICOMweb service is there \(404\): check the path"),
    (lambda path: (400, {}, b""), r"refuses a search \(400\)"),
    (lambda path: (302, ELSEWHERE, b""), r"sends .* on to https://login.example/, and is not"),
    (lambda path: (200, PAGE, b"<html>"), "not as DICOMweb does"),
    (lambda path: (200, {}, b'[{"a": 1}, 2]'), "not as DICOMweb does"),
    (lambda path: (200, {"Content-Length": "9"}, b"[]"), "Run again"),
    (lambda path: (429, {}, b""), r"failed to answer a search \(429\). Run again"),
]


@pytest.mark.parametrize(("fault", "words"), FAULTS)
def test_a_fault_of_the_service_is_told(fault, words, archive, tmp_path):
    archive.fault = fault
    with pytest.raises(UserError, match=words) as told:
        copy(archive.address, by_exam(tmp_path), tmp_path / "home")
    assert "secret" not in str(told.value)
    assert not [*(tmp_path / "home").rglob("*.csv")]


def test_an_endless_answer_ends(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(dicomweb_answers, "MAX_MEBIBYTES", 0)
    monkeypatch.setattr(dicomweb_answers, "FRAMING", 1000)
    with pytest.raises(UserError, match="answers with more than"):
        copy(archive.address, by_image(tmp_path, archive), tmp_path / "home")


def test_a_deflated_xray_is_not_inflated(archive, tmp_path):
    archive.images[0].file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    with pytest.raises(UserError, match="deflated, which cannot be read here; leave it out"):
        copy(archive.address, by_image(tmp_path, archive), tmp_path / "home")


def test_credentials_come_from_the_environment_and_are_not_told(archive, tmp_path, capsys):
    table = by_exam(tmp_path)
    given = {dicomweb.USER: "reader", dicomweb.PASSWORD: "pässword"}
    assert Service(archive.address, given).of_accession("A0")
    assert Service(archive.address, {dicomweb.TOKEN: "t0ken"}).of_accession("A0")
    assert archive.authorizations == {basic("reader", "pässword"), "Bearer t0ken"}
    archive.fault = lambda path: (401, {}, b"")
    with pytest.raises(UserError, match="does not accept these credentials") as told:
        Service(archive.address, given).of_accession("A0")
    refused = [str(told.value)]
    address = archive.address.replace("//", "//reader:pässword@")
    for environment in (
        {dicomweb.USER: "reader"},
        given | {dicomweb.TOKEN: "t0ken"},
        {dicomweb.TOKEN: "t0ken\n"},
        {dicomweb.AUTHORITY: str(table)},
        {dicomweb.AUTHORITY: "no such file"},
    ):
        with pytest.raises(UserError) as told:
            Service(archive.address, environment)
        refused.append(str(told.value))
    with pytest.raises(UserError) as told:
        copy(address, table, tmp_path / "home")
    refused += [str(told.value), *capsys.readouterr()]
    assert not any(secret in text for text in refused for secret in ("pässword", "t0ken"))


def test_proxies_and_netrc_are_not_used(archive, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert Service(archive.address, {}).of_accession("A0")
    assert archive.authorizations == {None}


def test_tls_is_verified(tmp_path):
    keys.make(tmp_path, ["127.0.0.1"], ["hospital_1"])
    pair = tmp_path / keys.SERVER, tmp_path / keys.SERVER_KEY
    with serving(Archive(exam(0)), pair) as archive:
        given = {dicomweb.AUTHORITY: str(tmp_path / keys.CA)}
        assert Service(archive.address, given).of_accession("A0")
        with pytest.raises(UserError, match=r"cannot be verified \(unable .*FEDMED_DICOMWEB_CA"):
            Service(archive.address, {}).of_accession("A0")
    with (
        serving(Archive(exam(0)), pair, "127.0.0.2") as archive,
        pytest.raises(UserError, match="IP address mismatch"),
    ):
        Service(archive.address, given).of_accession("A0")
    with (
        serving(Archive(exam(0))) as archive,
        pytest.raises(UserError, match="does not speak TLS on this port"),
    ):
        Service(archive.address.replace("http:", "https:"), {}).of_accession("A0")
    with pytest.raises(UserError, match="cannot be reached"):
        Service(archive.address, {}).of_accession("A0")


@pytest.mark.parametrize(
    "address", ["http://", "https://host:port/x", "https://a/b?c=d", "https://[::1/x", "https://?/"]
)
def test_what_is_no_address_is_refused(address, tmp_path):
    with pytest.raises(UserError, match="--data"):
        copy(address, by_exam(tmp_path), tmp_path / "home")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image,label\na,NORMAL\n", "needs the columns label and SOP Instance UID or Accession"),
        ("Accession Number\nA1\n", "needs the columns label"),
        ("Accession Number,label\n", "names no X-ray"),
        ("Accession Number,label\nA*,NORMAL\n", r"A\*: no accession number"),
        ("SOP Instance UID,label\n../1,NORMAL\n", r"\.\./1: no UID"),
        ("SOP Instance UID,label\n1.2,ILL\n", "1.2: its label is none of NORMAL, PNEUMONIA"),
        ("accession-number;label\nA1;NORMAL\nA1;PNEUMONIA\n", "A1: two rows say different things"),
    ],
)
def test_labels_that_cannot_be_used_are_told_before_anything_is_asked(
    text, words, archive, tmp_path
):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(UserError, match=words):
        copy(archive.address, tmp_path / "labels.csv", tmp_path / "home")
    assert not archive.asked
    with pytest.raises(UserError, match="cannot be read: No such file"):
        copy(archive.address, tmp_path / "none.csv", tmp_path / "home")


def test_the_command_looks_at_an_address(archive, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv(dicomweb.TOKEN, "t0ken")
    check = ["--check", archive.address, "--home", str(tmp_path / "home")]
    assert command.main(check) == 2
    assert "need --labels FILE" in capsys.readouterr().err
    assert command.main([*check, "--labels", str(by_exam(tmp_path))]) == 0
    assert "It would train on 5 NORMAL and 5 PNEUMONIA X-rays" in capsys.readouterr().out
    assert dicomweb.TOKEN not in dicomweb.os.environ
    assert command.main(["--check", str(tmp_path), "--labels", "x.csv"]) == 2
    assert "--labels is for an address" in capsys.readouterr().err

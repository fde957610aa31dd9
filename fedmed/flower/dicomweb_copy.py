"""X-rays of a DICOMweb service, copied once into a hospital's home and read there as files are."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from fedmed.data.trouble import named
from fedmed.errors import UserError
from fedmed.files import write_atomically
from fedmed.flower.dicomweb import Instance, Service, host_of
from fedmed.flower.dicomweb_failures import Gone
from fedmed.flower.dicomweb_labels import Wanted, read_wanted
from fedmed.progress import Progress, say

# Of an exam, what is a radiograph to look at (PS3.4, B.5): CR, and DX for presentation.
RADIOGRAPHS = ("1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.1.1")
FRONTAL = ("AP", "PA")


def copy(address: str, labels: Path, home: Path) -> Path:
    """Copy what `labels` names and is not there yet; return a table beside the copies.

    The table is one as a folder of X-rays has it. It is written last: with the same labels nothing
    is asked for again, and what was broken off goes on. The folder is its owner's alone to read.

    Raises:
        UserError: the labels or the address are none, the service fails, or has nothing of it all.
    """
    wanted = read_wanted(labels)
    host = re.sub(r"[^\w.-]", "-", host_of(address))
    folder = home / "dicomweb" / f"{host}-{_short(address.rstrip('/').encode())}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    table = folder / f"labels-{_short(labels.read_bytes())}.csv"
    with FileLock(folder / ".lock"):
        if table.is_file():
            say(f"The X-rays of {address} lie in {folder}; delete it to have them anew.")
            return table
        for left in folder.glob("*.partial"):  # by a process that was killed
            left.unlink()
        service = Service(address)
        if service.unencrypted:
            say(f"{address} is not encrypted: X-rays and credentials can be read on the way.")
        write_atomically(table, _fetch(service, wanted, folder, labels).encode())
    return table


def _short(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]


@dataclass
class _Told:
    """What came of the rows of a table."""

    lines: list[dict[str, str]] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    not_frontal: list[str] = field(default_factory=list)


def _fetch(service: Service, wanted: Sequence[Wanted], folder: Path, labels: Path) -> str:
    """Return the table of what is there, and of what is not, under the name that it was given."""
    told = _Told()
    for row in Progress("Copying X-rays", len(wanted), "row").over(wanted):
        try:
            found = service.of_accession(row.key) if row.is_exam else service.with_uid(row.key)
            names = [name for one in found if (name := _file(service, one, folder, row.is_exam))]
        except Gone:
            found, names = [], []
        if not names:
            (told.not_frontal if found else told.vanished).append(row.key)
        told.lines += [{"image": name, **dict(row.told)} for name in names or [row.key]]
    there = len(wanted) - len(told.vanished) - len(told.not_frontal)
    what = "exams" if wanted[0].is_exam else "X-rays"
    if not there:
        raise UserError(
            f"{service.address} has none of the {len(wanted):,} {what} of --labels {labels} "
            f"({named([row.key for row in wanted])}): check whether this is the archive, and the "
            "numbers whether a spreadsheet changed them"
        )
    say(f"Copied to {folder}: {there:,} of the {len(wanted):,} {what} of {labels}.")
    if told.vanished:
        say(f"Not there: {len(told.vanished):,} of them: {named(told.vanished)}.")
    if told.not_frontal:
        say(f"Without a frontal X-ray: {len(told.not_frontal):,}: {named(told.not_frontal)}.")
    text = io.StringIO()
    writer = csv.DictWriter(text, ["image", *dict(wanted[0].told)])
    writer.writeheader()
    writer.writerows(told.lines)
    return text.getvalue()


def _file(service: Service, one: Instance, folder: Path, of_exam: bool) -> str | None:
    """The name of an image's copy; None where one of an exam is not frontal. Raises Gone."""
    if of_exam and one.kind not in RADIOGRAPHS:
        return None
    path = folder / f"{one.uid}.dcm"
    if path.is_file():
        return path.name
    dataset = service.retrieve(one)
    if of_exam and not _is_frontal(dataset):
        return None
    write_atomically(path, _bytes(dataset, one.uid))
    os.chmod(path, 0o600)
    return path.name


def _is_frontal(dataset: Any) -> bool:
    """Whether View Position (PS3.3, C.8.7.1 and C.8.11.1) says frontal, or nothing."""
    view = str(dataset.get("ViewPosition") or "").strip().upper()
    return not view or view in FRONTAL


def _bytes(dataset: Any, uid: str) -> bytes:
    buffer = io.BytesIO()
    try:
        dataset.save_as(buffer, enforce_file_format=True)
    except Exception as error:  # pydicom has no common base for what it cannot write
        raise UserError(f"the X-ray {uid} cannot be written as a file; leave it out") from error
    return buffer.getvalue()

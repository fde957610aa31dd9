"""The Patient ID of a DICOM file, as a pseudonym that only the owner of the run can make.

A Patient ID is often a hospital's record number: few enough are possible for anybody to hash them
all, so a plain digest of one hides nothing. A pseudonym is therefore keyed (HMAC-SHA256, RFC 2104)
with 32 random bytes that are made once and kept in the user's configuration folder, readable by
the user alone: `FEDMED_PATIENT_KEY`, else `fedmed/patients.key` in `XDG_CONFIG_HOME` or
`~/.config`. Not beside the output, for a snapshot's folder is what gets copied and published. The
same key gives the same pseudonyms to every run of this user, so that `--resume` finds the run it
left. Neither key nor pseudonym decides who is held out or which hospital holds whom (see
fedmed.data.patients), so another machine draws the same split; and neither is ever written into a
snapshot.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from fedmed.errors import UserError
from fedmed.imaging import dicom

KEY_BYTES = 32
START_BYTES = 4096
DEFLATED = b"\x02\0\x10\0UI\x16\0" + b"1.2.840.10008.1.2.1.99"  # as the file's transfer syntax
# What anonymisers put in place of an ID: it says nothing of who is shown.
_PLACEHOLDER_WORDS = """
anon anonym anonymous anonymized anonymised deidentified de-identified removed redacted unknown none
null nil na n/a noid no-id patient patientid test - x xxx
"""
PLACEHOLDERS = frozenset(_PLACEHOLDER_WORDS.split())


def pseudonyms() -> Callable[[Path], str | None]:
    """A function from a file to its patient's pseudonym (32 hex digits).

    It returns None for what is no DICOM file or names no patient; the key is only made or read
    when the first ID is met, and the function raises UserError where it cannot be.
    """
    key: list[bytes] = []

    def pseudonym(path: Path) -> str | None:
        patient = patient_id(path)
        if patient is None:
            return None
        if not key:
            key.append(owners_key())
        return hmac.new(key[0], patient.encode(), hashlib.sha256).hexdigest()[:32]

    return pseudonym


def patient_id(path: Path) -> str | None:
    """The Patient ID in a DICOM file's header; None where there is none to go by."""
    with path.open("rb") as file:
        start = file.read(START_BYTES)
        # pydicom would inflate the whole file, however large, to get at its header.
        if not dicom.recognises(start) or DEFLATED in start:
            return None
        file.seek(0)
        # Whatever is wrong with a header is told when the picture is decoded.
        with suppress(Exception), warnings.catch_warnings():
            import pydicom

            warnings.simplefilter("ignore")
            header = pydicom.dcmread(
                file, force=True, stop_before_pixels=True, specific_tags=["PatientID"]
            )
            patient = str(header.get("PatientID") or "").strip("\0 ")
            told = patient.strip("0") and patient.casefold() not in PLACEHOLDERS
            return patient if told else None
    return None


def owners_key() -> bytes:
    """The key of this user's pseudonyms, made on first use.

    Raises:
        UserError: it cannot be read or written, or is none.
    """
    path = _place()
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            aside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
            with suppress(FileNotFoundError):
                aside.unlink()
            handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(secrets.token_bytes(KEY_BYTES))
                with suppress(FileExistsError):  # another run's was first
                    os.link(aside, path)
            finally:
                aside.unlink()
        key = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"The key that hides DICOM Patient IDs cannot be kept in {path} ({error.strerror}); "
            "FEDMED_PATIENT_KEY=FILE puts it elsewhere."
        ) from error
    if len(key) != KEY_BYTES:
        raise UserError(
            f"{path} holds no key of {KEY_BYTES} bytes for DICOM Patient IDs; delete it and a new "
            "one is made, or name another with FEDMED_PATIENT_KEY=FILE."
        )
    return key


def _place() -> Path:
    if chosen := os.environ.get("FEDMED_PATIENT_KEY"):
        return Path(chosen)
    if base := os.environ.get("XDG_CONFIG_HOME"):
        return Path(base) / "fedmed" / "patients.key"
    try:
        return Path.home() / ".config" / "fedmed" / "patients.key"
    except RuntimeError as error:
        raise UserError(
            "This user has no home folder for the key that hides DICOM Patient IDs: name a file "
            "for it with FEDMED_PATIENT_KEY=FILE."
        ) from error

"""Whether a data set is the public one, judged by what it holds and never by a pattern of names.

Only then may its title, licence and citation be said of the pictures. Any of these tells it:
- nine in ten pictures of each class bear the exact name of one of its files of that class
  (public_names.txt), whatever was done to the pixels since;
- its published files are there under other names: as many of a sample's digests as there would be;
- Mendeley's own archive: most of a sample of its exact names.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path, PurePosixPath

from fedmed.data.listed import Listed
from fedmed.data.patients import named_patient
from fedmed.task import CLASSES

SHARE = 0.9
NAME_BYTES = 3
SAMPLE_DIGITS = 16
FEWEST = 5  # of the sample's files that must be there: one may have strayed into anybody's folder

_FOLDER = Path(__file__).parent


def is_public(listed: Sequence[Listed]) -> bool:
    """Whether these images are the public data set or a part of it."""
    return bool(listed) and (_named(listed) or _sampled(listed) or _mendeley(listed))


def name_digest(label: int, name: str) -> bytes:
    """What public_names.txt holds of a file."""
    own = f"{CLASSES[label]}/{PurePosixPath(name).name}"
    return hashlib.sha256(own.encode()).digest()[:NAME_BYTES]


@cache
def public_names() -> frozenset[bytes]:
    """The digests of the Kaggle copy's file names."""
    lines = (_FOLDER / "public_names.txt").read_text(encoding="utf-8").splitlines()
    raw = base64.b64decode("".join(line for line in lines if not line.startswith("#")))
    return frozenset(raw[at : at + NAME_BYTES] for at in range(0, len(raw), NAME_BYTES))


@cache
def public_sample(kind: str) -> frozenset[str]:
    """The sampled digests of published files ("file") or of Mendeley v3's names ("name")."""
    lines = (_FOLDER / "public_sample.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line.split()[1] for line in lines if line.startswith(f"{kind} "))


def _named(listed: Sequence[Listed]) -> bool:
    # A copy under another name is still that picture.
    pictures = [{x.digest for x in listed if x.label == label} for label in range(len(CLASSES))]
    known: list[set[str]] = [set() for _ in CLASSES]
    for image in listed:
        if name_digest(image.label, image.name) in public_names():
            known[image.label].add(image.digest)
    return all(
        those and len(its) >= SHARE * len(those) for its, those in zip(known, pictures, strict=True)
    )


def _sampled(listed: Sequence[Listed]) -> bool:
    digests = {image.digest for image in listed}
    sample = public_sample("file")
    found = len(sample & {digest[:SAMPLE_DIGITS] for digest in digests})
    return found >= max(FEWEST, SHARE * len(digests) * len(sample) / len(public_names()))


def _mendeley(listed: Sequence[Listed]) -> bool:
    names = {PurePosixPath(image.name).name for image in listed}
    sample = public_sample("name")
    found = len(sample & {hashlib.sha256(n.encode()).hexdigest()[:SAMPLE_DIGITS] for n in names})
    alike = sum((named_patient(name) or "").startswith("mendeley-") for name in names)
    return 2 * found >= len(sample) and alike >= SHARE * len(names)

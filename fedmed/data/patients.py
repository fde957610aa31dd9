"""Which patient an image shows, read from its file name.

The public data set numbers four groups of patients separately: `person7_bacteria_24.jpeg` and
`person7_virus_12.jpeg` show two children, as do `IM-0007-0001.jpeg` and
`NORMAL2-IM-0007-0001.jpeg`. A patient is therefore keyed by (kind, number). Keyed by number alone,
170 patients would seem to be in both official splits; keyed properly, none is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

_PATTERNS = (
    re.compile(r"^person(?P<number>\d+)_(?P<kind>bacteria|virus)(_\d+)+$"),
    re.compile(r"^(?P<kind>NORMAL2-IM|IM)-(?P<number>\d+)(-\d+)*$"),
    re.compile(r"^(?P<kind>sim)-(?P<number>\d+)$"),
)


def patient_of(name: str) -> str | None:
    """The patient's key, such as `virus-12`, or None where the name carries no patient."""
    stem = PurePosixPath(name).stem
    for pattern in _PATTERNS:
        if match := pattern.match(stem):
            return f"{match['kind']}-{int(match['number'])}"
    return None


def key_patients(names: Sequence[str], digests: Sequence[str]) -> list[str]:
    """Each image's patient. Where the name carries none, the same picture is the same patient."""
    first: dict[str, str] = {}
    return [
        patient_of(name) or first.setdefault(digest, name)
        for name, digest in zip(names, digests, strict=True)
    ]


def patient_order(key: str) -> tuple[str, int, str]:
    """Sorting key: patients of one kind in the order of their numbers, others by name."""
    kind, _, number = key.rpartition("-")
    return (kind, int(number), "") if number.isdecimal() else (key, -1, key)

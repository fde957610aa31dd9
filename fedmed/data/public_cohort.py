"""The public cohort: patients whose X-rays trained the bundled backbone.

Three in ten of the official train patients, listed in `public_cohort.txt` once and for all. They
belong to no hospital and to no validation set of a run that uses that backbone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

_LIST = Path(__file__).with_name("public_cohort.txt")


@cache
def public_patients() -> frozenset[str]:
    """The keys of the listed patients (see fedmed.data.patients)."""
    lines = _LIST.read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


def choose(patients: Iterable[str]) -> list[str]:
    """The rule that made the list: the sha256 of the key, modulo 10, is below 3."""
    chosen = (p for p in set(patients) if int(hashlib.sha256(p.encode()).hexdigest(), 16) % 10 < 3)
    return sorted(chosen)

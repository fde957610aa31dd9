"""The public cohort: fixed for good, and what its rule says."""

from __future__ import annotations

import hashlib

from fedmed.data import public_cohort
from fedmed.data.public_cohort import choose, public_patients

LISTED = "80ac8da29b379a3e3803b3b6ff28b21202627583d75ad6a6641c781a2a8e7122"


def test_the_list_never_changes() -> None:
    content = public_cohort._LIST.read_bytes()
    assert hashlib.sha256(content).hexdigest() == LISTED
    assert len(public_patients()) == 1095


def test_the_listed_patients_are_those_the_rule_chooses() -> None:
    listed = public_patients()
    assert choose(listed) == sorted(listed)


def test_the_rule_takes_three_in_ten_whatever_their_order() -> None:
    keys = [f"virus-{number}" for number in range(2000)]
    chosen = choose(keys)
    assert 540 < len(chosen) < 660
    assert choose(reversed(keys)) == chosen


def test_every_kind_is_listed_and_nothing_else() -> None:
    kinds = {patient.rpartition("-")[0] for patient in public_patients()}
    assert kinds == {"IM", "NORMAL2-IM", "bacteria", "virus"}

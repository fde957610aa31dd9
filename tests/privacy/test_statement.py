"""What a run says of privacy follows from its numbers, and what is void is named."""

from __future__ import annotations

import pytest

from fedmed.privacy.statement import VOID_EPSILON, guarantee, secure_sums
from tests.support.patients import mechanism

FIVE = {f"hospital_{number}": 100 * number for number in range(1, 6)}


def test_at_the_hospitals_level_it_is_void() -> None:
    said = guarantee(mechanism(epsilon=3.0), FIVE)
    assert (said["hospital"]["name"], said["hospital"]["patients"]) == ("hospital_1", 100)
    assert said["hospital"]["void"] and said["hospital"]["epsilon"] > 1000
    (void,) = said["void"]
    assert void.startswith("for a whole hospital") and "100 patients" in void


def test_of_hospitals_of_one_patient_it_is_not() -> None:
    said = guarantee(mechanism(epsilon=3.0), {"hospital_1": 1, "hospital_2": 2})
    assert said["hospital"]["epsilon"] == pytest.approx(3.0)
    assert said["void"] == []


def test_a_large_epsilon_or_delta_promises_patients_nothing() -> None:
    large = guarantee(mechanism(epsilon=2 * VOID_EPSILON), FIVE)
    assert any("for a patient: epsilon 20" in line for line in large["void"])
    likely = guarantee(mechanism(delta=1e-3), FIVE)
    assert any("1,500 patients outright" in line for line in likely["void"])


def test_a_patient_replaced_or_in_two_hospitals_costs_more() -> None:
    said = guarantee(mechanism(epsilon=1.0), FIVE)
    assert 1 < said["in_two_hospitals"]["epsilon"] < said["replaced"]["epsilon"]


def test_keys_are_counted() -> None:
    assert secure_sums(5)["setup_bytes"] == {"up": 32, "down": 128}

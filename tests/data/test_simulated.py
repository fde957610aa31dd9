"""The simulated cohort: nobody's X-rays, always said to be simulated."""

from __future__ import annotations

import numpy as np

from fedmed import data
from fedmed.data.cohort import labels, patients
from fedmed.data.simulated import simulated_cohort, simulated_laterals, simulated_xrays


def test_it_says_that_it_is_simulated() -> None:
    cohort = data.load("simulated")
    assert cohort.simulated
    assert cohort.source == "simulated"
    assert "imulated" in cohort.about["title"]


def test_classes_are_equal_and_patients_are_all_different() -> None:
    cohort = simulated_cohort(40, 10)
    assert labels(cohort.train).count(1) == 20
    assert labels(cohort.test).count(1) == 5
    assert len(set(patients(cohort.images))) == 50
    assert len({xray.digest for xray in cohort.images}) == 50


def test_a_patient_is_the_same_in_any_cohort() -> None:
    small, large = simulated_cohort(2, 2), simulated_cohort(4, 4)
    assert [x.digest for x in small.train] == [x.digest for x in large.train[:2]]
    first, again = (cohort.train[1].load() for cohort in (small, large))
    assert np.array_equal(np.asarray(first), np.asarray(again))
    assert (first.mode, first.size) == ("L", (224, 224))


def test_another_seed_or_label_is_another_picture() -> None:
    def digest(first: int, seed: int) -> str:
        return simulated_xrays("train", first, 1, seed=seed)[0].digest

    assert len({digest(1, 0), digest(1, 1), digest(2, 0)}) == 3


def test_laterals_are_nobody_twice_and_no_frontal_film() -> None:
    laterals, fronts = simulated_laterals(0, 3), simulated_xrays("train", 0, 3)
    assert len({xray.digest for xray in (*laterals, *fronts)}) == 6
    assert laterals[1] == simulated_laterals(1, 1)[0]
    assert laterals[0].load().size == (224, 224)
    assert laterals[0].load().tobytes() != fronts[0].load().tobytes()

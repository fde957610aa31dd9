"""What the report tells about a cohort."""

from __future__ import annotations

import dataclasses

from fedmed.data.audit import audit
from fedmed.report.check import check
from fedmed.report.schema import Data
from tests.support.xrays import cohort, xrays


def test_images_patients_and_splits_are_counted() -> None:
    train = xrays(["IM-1.jpeg", "IM-1-2.jpeg", "IM-2.jpeg"], 0) + xrays(["person1_virus_1.png"], 1)
    facts = audit(cohort(train, xrays(["IM-3.jpeg"], 0, "test")))
    assert facts["splits"]["train"] == {"images": {"NORMAL": 3, "PNEUMONIA": 1}, "patients": 3}
    assert facts["splits"]["test"] == {"images": {"NORMAL": 1, "PNEUMONIA": 0}, "patients": 1}
    assert facts["patient_overlap"] == 0
    assert facts["repeats"] == {"train": 0, "test": 0, "across": 0}


def test_repeats_are_counted_within_and_across() -> None:
    a, b, c, d = xrays(["a.png", "b.png", "c.png", "d.png"], 0)
    again = [dataclasses.replace(a, name=f"again {n}") for n in range(2)]
    facts = audit(cohort([a, *again, b, c], [b, c, d, dataclasses.replace(d, name="e")]))
    assert facts["repeats"] == {"train": 2, "test": 1, "across": 2}


def test_patients_in_both_splits_are_counted_by_kind_and_number() -> None:
    train = xrays(["person7_bacteria_1.jpeg", "IM-0007-0001.jpeg", "IM-0008-0001.jpeg"], 1)
    test = xrays(["person7_virus_9.jpeg", "IM-0008-0002.jpeg"], 1, "test")
    assert audit(cohort(train, test))["patient_overlap"] == 1


def test_the_report_knows_its_fields() -> None:
    facts = audit(cohort(xrays(["a.png"], 0), xrays(["b.png"], 1, "test"), patients_known=False))
    counts = {"images": {"NORMAL": 1, "PNEUMONIA": 0}, "patients": 1}
    rest = {"public_cohort": None, "held_out": counts, "training": counts}
    check(facts | rest, Data)
    assert facts["patients_known"] is False
    assert facts["source"] == "folder"

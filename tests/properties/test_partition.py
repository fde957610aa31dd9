"""However patients are dealt: nobody is lost, nobody is in two hospitals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedmed.data.partition import ONE_CLASS, SCHEMES, describe, split
from fedmed.errors import UserError
from fedmed.task import CLASSES

# Images as (patient, class): patients may have images of both.
COHORTS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 1)), max_size=120)
ASKED = st.fixed_dictionaries(
    {
        "hospitals": st.integers(1, 8),
        "scheme": st.sampled_from(SCHEMES),
        "alpha": st.floats(0.05, 100),
        "seed": st.integers(0, 2**32 - 1),
    }
)


def dealt(cohort: list[tuple[int, int]], asked: dict) -> list[np.ndarray] | None:
    """The hospitals' images, or None where they could not all have both classes."""
    patients, labels = [f"p{patient}" for patient, _ in cohort], [label for _, label in cohort]
    try:
        return split(patients, labels, **asked)
    except UserError as error:
        assert "--" in str(error)
        return None


@given(COHORTS, ASKED)
def test_every_image_is_dealt_once_and_every_patient_to_one_hospital(cohort, asked) -> None:
    parts = dealt(cohort, asked)
    if parts is None:
        return
    assert len(parts) == asked["hospitals"]
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(cohort)))
    seen = [{cohort[image][0] for image in part} for part in parts]
    assert sum(map(len, seen)) == len({patient for patient, _ in cohort})


@given(COHORTS, ASKED)
def test_every_hospital_has_patients_of_both_classes_where_that_is_promised(cohort, asked) -> None:
    parts = dealt(cohort, asked)
    if parts is None:
        return
    patients, labels = [f"p{patient}" for patient, _ in cohort], [label for _, label in cohort]
    options = {name: asked[name] for name in ("scheme", "alpha", "seed")}
    told = describe(parts, patients, labels, **options)["hospitals"]
    assert all(sum(hospital["patients"].values()) > 0 for hospital in told)
    whole = all(hospital["patients"][title] > 0 for hospital in told for title in CLASSES)
    majority = [sum(hospital["patients"][title] for hospital in told) for title in CLASSES]
    assert whole or (asked["scheme"] in ONE_CLASS and min(majority) < asked["hospitals"])
    assert sum(sum(hospital["images"].values()) for hospital in told) == len(cohort)


@given(COHORTS, ASKED, st.randoms(use_true_random=False))
def test_the_order_of_the_images_does_not_matter(cohort, asked, shuffler) -> None:
    parts = dealt(cohort, asked)
    order = list(range(len(cohort)))
    shuffler.shuffle(order)
    again = dealt([cohort[image] for image in order], asked)
    if parts is None or again is None:
        assert parts is again
        return
    for part, other in zip(parts, again, strict=True):
        assert sorted(part.tolist()) == sorted(order[image] for image in other)


@pytest.mark.parametrize("scheme", ["label-skew", "quantity-skew", "iid"])
@given(st.integers(1, 8), st.integers(0, 20), st.integers(0, 20), st.integers(0, 99))
def test_as_many_patients_of_each_class_as_hospitals_are_enough(
    scheme: str, hospitals: int, more_normal: int, more_ill: int, seed: int
) -> None:
    labels = [0] * (hospitals + more_normal) + [1] * (hospitals + more_ill)
    patients = [str(number) for number in range(len(labels))]
    parts = split(patients, labels, hospitals=hospitals, scheme=scheme, alpha=1.0, seed=seed)
    assert all({labels[image] for image in part} == {0, 1} for part in parts)

from __future__ import annotations

import numpy as np
import pytest

from fedmed.data.partition import SCHEMES, describe, split
from fedmed.errors import UserError
from fedmed.report.highlights import one_class_words


def cohort(normal: int = 200, pneumonia: int = 400, seed: int = 0):
    """One to three images a patient, shuffled."""
    generator = np.random.default_rng(seed)
    names = [f"n{i}" for i in range(normal)] + [f"p{i}" for i in range(pneumonia)]
    images = [name for name in names for _ in range(generator.integers(1, 4))]
    patients = [images[i] for i in generator.permutation(len(images))]
    return patients, [int(name.startswith("p")) for name in patients]


def deal(patients, labels, scheme="label-skew", hospitals=5, alpha=0.5, seed=42):
    return split(patients, labels, hospitals=hospitals, scheme=scheme, alpha=alpha, seed=seed)


def patients_per_class(parts, patients, labels, scheme="label-skew"):
    report = describe(parts, patients, labels, scheme=scheme, alpha=0.5, seed=42)
    return np.array([list(hospital["patients"].values()) for hospital in report["hospitals"]])


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("hospitals", [1, 2, 5, 9])
def test_every_patient_belongs_to_one_hospital_and_every_hospital_has_both_classes(
    scheme, hospitals
):
    patients, labels = cohort()
    parts = deal(patients, labels, scheme, hospitals)
    assert len(parts) == hospitals
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(patients)))
    owners = [{patients[i] for i in part} for part in parts]
    assert sum(map(len, owners)) == len(set(patients))
    assert all({labels[i] for i in part} == {0, 1} for part in parts)
    assert all((np.diff(part) > 0).all() for part in parts)


def test_label_skew_runs_from_nearly_all_pneumonia_to_mostly_normal():
    patients, labels = cohort(normal=315, pneumonia=935)
    counts = patients_per_class(deal(patients, labels), patients, labels)
    assert counts.tolist() == [[11, 481], [21, 241], [41, 121], [81, 61], [161, 31]]


@pytest.mark.parametrize("hospitals", [2, 5, 9])
def test_label_skew_keeps_the_ratio_of_extreme_shares_near_16(hospitals):
    patients, labels = cohort(normal=3000, pneumonia=3000)
    counts = patients_per_class(deal(patients, labels, hospitals=hospitals), patients, labels)
    normal, pneumonia = counts.T
    assert normal[-1] / normal[0] == pytest.approx(16, rel=0.05)
    assert pneumonia[0] / pneumonia[-1] == pytest.approx(16, rel=0.05)


def test_label_skew_leaves_a_patient_of_each_class_however_few_there_are():
    patients, labels = cohort(normal=5, pneumonia=6)
    counts = patients_per_class(deal(patients, labels), patients, labels)
    assert counts.T.tolist() == [[1, 1, 1, 1, 1], [2, 1, 1, 1, 1]]


def test_quantity_skew_keeps_the_mix_and_changes_the_size():
    patients, labels = cohort(normal=315, pneumonia=625)
    counts = patients_per_class(deal(patients, labels, "quantity-skew"), patients, labels)
    assert counts[:, 0].tolist() == [161, 81, 41, 21, 11]
    assert counts[:, 1].tolist() == [321, 161, 81, 41, 21]


def test_iid_is_equal_to_within_a_patient():
    patients, labels = cohort(normal=203, pneumonia=401)
    counts = patients_per_class(deal(patients, labels, "iid"), patients, labels)
    assert (counts.max(0) - counts.min(0) <= 1).all()


def test_iid_sizes_are_equal_to_within_a_patient_too():
    patients, labels = cohort(normal=203, pneumonia=403)
    counts = patients_per_class(deal(patients, labels, "iid"), patients, labels)
    assert sorted(counts.sum(1).tolist()) == [121, 121, 121, 121, 122]


def test_label_skew_has_both_classes_up_to_a_hospital_for_each_patient_of_the_rarer():
    patients, labels = cohort(normal=200, pneumonia=400)
    counts = patients_per_class(deal(patients, labels, hospitals=200), patients, labels)
    assert (counts[:, 0] == 1).all() and counts[:, 1].min() == 1


@pytest.mark.parametrize("scheme", ["quantity-skew", "iid"])
def test_with_more_hospitals_than_patients_of_a_class_some_lack_it(scheme):
    patients, labels = cohort(normal=70, pneumonia=400)
    parts = deal(patients, labels, scheme, hospitals=100)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(patients)))
    counts = patients_per_class(parts, patients, labels, scheme)
    assert counts[:, 1].min() >= 1
    assert counts.sum() == 470
    told = describe(parts, patients, labels, scheme=scheme, alpha=0.5, seed=42)
    without = (counts[:, 0] == 0).sum()
    assert without >= 30
    assert one_class_words(told).startswith(f"{without} of 100 hospitals hold no NORMAL X-ray")
    if scheme == "iid":
        assert np.ptp(counts, axis=0).max() == np.ptp(counts.sum(1)) == 1


@pytest.mark.parametrize("scheme", ["quantity-skew", "iid"])
@pytest.mark.parametrize(("normal", "pneumonia"), [(6, 4), (1, 9), (9, 1), (5, 5)])
@pytest.mark.parametrize("hospitals", [7, 9, 10])
def test_there_may_be_as_many_hospitals_as_patients(scheme, normal, pneumonia, hospitals):
    patients, labels = cohort(normal, pneumonia)
    parts = deal(patients, labels, scheme, hospitals=hospitals)
    counts = patients_per_class(parts, patients, labels, scheme)
    assert counts.sum(0).tolist() == [normal, pneumonia]
    assert counts.sum(1).min() >= 1


def test_a_small_alpha_is_more_uneven_than_a_large_one():
    patients, labels = cohort(normal=2000, pneumonia=2000)
    even, uneven = (
        patients_per_class(deal(patients, labels, "dirichlet", alpha=alpha), patients, labels)
        for alpha in (1000.0, 0.5)
    )
    assert even.min() > 350
    assert uneven.max() / uneven.min() > 5


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_split_follows_the_seed_and_not_the_order_of_the_images(scheme):
    patients, labels = cohort()
    parts = deal(patients, labels, scheme)
    assert all(map(np.array_equal, parts, deal(patients, labels, scheme)))
    assert not all(map(np.array_equal, parts, deal(patients, labels, scheme, seed=43)))
    reversed_parts = deal(patients[::-1], labels[::-1], scheme)
    for part, mirrored in zip(parts, reversed_parts, strict=True):
        assert {patients[i] for i in part} == {patients[::-1][i] for i in mirrored}


def test_a_patient_with_both_classes_stays_whole_and_is_dealt_by_the_majority():
    patients = ["a", "a", "a", "tie", "tie", "n", "m"]
    labels = [0, 1, 1, 0, 1, 0, 0]
    parts = deal(patients, labels, "iid", hospitals=2)
    assert all(len({"a", "tie"} & {patients[i] for i in part}) == 1 for part in parts)
    counts = patients_per_class(parts, patients, labels)
    assert counts.tolist() == [[1, 1], [1, 1]]


def test_describe_counts_patients_and_images():
    patients, labels = ["a", "a", "b", "c", "d"], [0, 0, 1, 0, 1]
    parts = [np.array([0, 1, 2]), np.array([3, 4])]
    report = describe(parts, patients, labels, scheme="label-skew", alpha=0.5, seed=7)
    assert report == {
        "scheme": "label-skew",
        "alpha": None,
        "seed": 7,
        "hospitals": [
            {
                "name": "hospital_1",
                "patients": {"NORMAL": 1, "PNEUMONIA": 1},
                "images": {"NORMAL": 2, "PNEUMONIA": 1},
            },
            {
                "name": "hospital_2",
                "patients": {"NORMAL": 1, "PNEUMONIA": 1},
                "images": {"NORMAL": 1, "PNEUMONIA": 1},
            },
        ],
    }
    assert describe(parts, patients, labels, scheme="dirichlet", alpha=0.5, seed=7)["alpha"] == 0.5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scheme": "by-colour"}, ["--partition by-colour", "label-skew, dirichlet"]),
        ({"hospitals": 0}, ["--hospitals 0", "at least 1"]),
        ({"hospitals": 201}, ["NORMAL", "201", "lower --hospitals to 200", "quantity-skew or iid"]),
        ({"hospitals": 500}, ["NORMAL", "500", "lower --hospitals to 200", "quantity-skew or iid"]),
        ({"hospitals": 601, "scheme": "iid"}, ["601", "hold 600: lower --hospitals to 600"]),
        ({"hospitals": 601, "scheme": "quantity-skew"}, ["601", "lower --hospitals to 600"]),
        ({"scheme": "dirichlet", "alpha": 0.0}, ["--alpha 0.0"]),
        ({"scheme": "dirichlet", "alpha": float("nan")}, ["--alpha nan"]),
        ({"scheme": "dirichlet", "alpha": 0.001}, ["raise --alpha", "--partition label-skew"]),
    ],
)
def test_what_cannot_be_split_is_refused_with_the_way_out(options, words):
    patients, labels = cohort()
    with pytest.raises(UserError) as refusal:
        deal(patients, labels, **options)
    assert all(word in str(refusal.value) for word in words)

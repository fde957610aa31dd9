"""Patients to hospitals: who holds which X-rays.

Hospitals differ in what they see (label-skew, dirichlet) or in size (quantity-skew). Patients are
dealt, never images, so no patient's images are spread over two hospitals.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fedmed.errors import UserError
from fedmed.task import CLASSES

SCHEMES = ("label-skew", "dirichlet", "quantity-skew", "iid")

ONE_CLASS = ("quantity-skew", "iid")  # may leave a hospital without one of the classes

SKEW = 16.0  # largest over smallest share under label-skew and quantity-skew, by default
DRAWS = 1000  # of Dirichlet shares per class, before giving up


def split(
    patients: Sequence[str],
    labels: Sequence[int],
    *,
    hospitals: int,
    scheme: str,
    alpha: float,
    seed: int,
    skew: float = SKEW,
) -> list[np.ndarray]:
    """Deal every patient to one hospital; image i shows `patients[i]` and has class `labels[i]`.

    - label-skew: NORMAL patients grow geometrically from the first hospital to the last, PNEUMONIA
      patients shrink, so mixes run from nearly all PNEUMONIA to mostly NORMAL.
    - dirichlet: each class is dealt by shares drawn from Dirichlet(alpha) (Hsu et al. 2019); the
      smaller alpha, the more the hospitals differ.
    - quantity-skew: the same mix everywhere, sizes shrink geometrically.
    - iid: the same mix and size everywhere.

    `skew` is the largest over the smallest share under label-skew and quantity-skew; at 1 both are
    as iid. Returns one sorted array of image indices per hospital. The order of the images does not
    change who goes where. Under label-skew and dirichlet every hospital has both classes.
    quantity-skew and iid deal to as many hospitals as there are patients; where a class has fewer
    patients than there are hospitals, some are left without it. Raises UserError where that cannot
    be, or a hospital would be left without patients.
    """
    if scheme not in SCHEMES:
        raise UserError(f"--partition {scheme}: unknown; choose from {', '.join(SCHEMES)}")
    if hospitals < 1:
        raise UserError(f"--hospitals {hospitals}: there must be at least 1")
    if scheme == "dirichlet" and not (0 < alpha < math.inf):
        raise UserError(f"--alpha {alpha}: must be above 0, for example 0.5")

    names, owner, majority = _patients(patients, labels)
    generator = np.random.default_rng(seed)
    members_of = np.bincount(majority, minlength=len(CLASSES))
    _check(members_of, hospitals, scheme)
    least = _least(members_of, hospitals, scheme)
    hospital = np.empty(len(names), dtype=np.int64)
    for label in range(len(CLASSES)):
        members = generator.permutation(np.flatnonzero(majority == label))
        counts = _counts(len(members), label, least[label], scheme, alpha, skew, generator)
        hospital[members] = np.repeat(np.arange(hospitals), counts)
    owners = hospital[owner]
    ends = np.bincount(owners, minlength=hospitals).cumsum()
    return np.split(np.argsort(owners, kind="stable"), ends[:-1])


def describe(
    parts: Sequence[np.ndarray],
    patients: Sequence[str],
    labels: Sequence[int],
    *,
    scheme: str,
    alpha: float,
    seed: int,
) -> dict[str, Any]:
    """The report's account of a split: patients and images per class in each hospital.

    A patient with images of both classes is counted once, in the class it was dealt by.
    """
    _, owner, majority = _patients(patients, labels)
    images = np.asarray(labels)
    return {
        "scheme": scheme,
        "alpha": alpha if scheme == "dirichlet" else None,
        "seed": seed,
        "hospitals": [
            {
                "name": f"hospital_{number}",
                "patients": _per_class(majority[np.unique(owner[part])]),
                "images": _per_class(images[part]),
            }
            for number, part in enumerate(parts, start=1)
        ],
    }


def _patients(
    patients: Sequence[str], labels: Sequence[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sorted names [P], each image's patient [n], each patient's majority class [P].

    As many images of either class count as PNEUMONIA: it was seen in that patient.
    """
    names, owner = np.unique(np.asarray(patients), return_inverse=True)
    ill = np.bincount(owner, weights=np.asarray(labels), minlength=len(names))
    majority = (2 * ill >= np.bincount(owner, minlength=len(names))).astype(np.int64)
    return names, owner, majority


def _check(patients: np.ndarray, hospitals: int, scheme: str) -> None:
    """Refuse more hospitals than `patients` [classes] are enough for."""
    scarce = int(patients.argmin())
    if scheme in ONE_CLASS and patients[scarce]:
        if patients.sum() < hospitals:
            raise UserError(
                f"--partition {scheme} needs a patient for each of {hospitals} hospitals, and the "
                f"data hold {patients.sum()}: lower --hospitals to {patients.sum()} or add patients"
            )
        return
    if patients[scarce] >= hospitals:
        return
    way_out = f"lower --hospitals to {patients[scarce]} or add patients"
    if scheme not in ONE_CLASS and patients.sum() >= hospitals:
        way_out += f", or use --partition {' or '.join(ONE_CLASS)}, where a hospital may lack one"
    if not patients[scarce]:
        way_out = "add patients"
    raise UserError(
        f"--partition {scheme} needs a {CLASSES[scarce]} patient for each of {hospitals} "
        f"hospitals, and the data hold {patients[scarce]}: {way_out}"
    )


def _least(patients: np.ndarray, hospitals: int, scheme: str) -> np.ndarray:
    """How many patients of each class every hospital gets before the rest are shared out."""
    least = np.repeat((patients >= hospitals)[:, None].astype(np.int64), hospitals, axis=1)
    if scheme == "quantity-skew" and not least.any():  # falling shares would leave the last none
        normal, pneumonia = patients.tolist()
        first = round(hospitals * normal / (normal + pneumonia))
        first = min(max(first, hospitals - pneumonia), normal)
        least[0, :first] = least[1, first:] = 1
    return least


def _counts(
    members: int,
    label: int,
    least: np.ndarray,
    scheme: str,
    alpha: float,
    skew: float,
    generator: np.random.Generator,
) -> np.ndarray:
    """How many patients of a class each hospital gets: `members` in all, `least` of them set."""
    hospitals = len(least)
    if scheme == "dirichlet":
        return _dirichlet_counts(members, hospitals, alpha, generator)
    falling = skew ** -np.linspace(0, 1, hospitals)
    shares = {
        "label-skew": falling if CLASSES[label] == "PNEUMONIA" else falling[::-1],
        "quantity-skew": falling,
        "iid": np.ones(hospitals),
    }[scheme]
    counts = least + _round_shares(members - int(least.sum()), shares)
    # Patients left over go to the first hospitals; of the other class, to the last ones.
    return counts[::-1] if scheme == "iid" and CLASSES[label] == "PNEUMONIA" else counts


def _dirichlet_counts(
    members: int, hospitals: int, alpha: float, generator: np.random.Generator
) -> np.ndarray:
    for _ in range(DRAWS):
        counts = _round_shares(members, generator.dirichlet(np.full(hospitals, alpha)))
        if counts.min() > 0:
            return counts
    raise UserError(
        f"--partition dirichlet: in {DRAWS} draws with --alpha {alpha}, some of the {hospitals} "
        "hospitals always lacked a class: raise --alpha, lower --hospitals or use "
        "--partition label-skew"
    )


def _round_shares(total: int, shares: np.ndarray) -> np.ndarray:
    """Whole numbers that add up to `total`, by largest remainder."""
    exact = total * shares / shares.sum()
    counts = np.floor(exact).astype(np.int64)
    largest = np.argsort(counts - exact, kind="stable")[: total - counts.sum()]
    counts[largest] += 1
    return counts


def _per_class(labels: np.ndarray) -> dict[str, int]:
    return {title: int((labels == label).sum()) for label, title in enumerate(CLASSES)}

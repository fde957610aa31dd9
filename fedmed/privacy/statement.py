"""What a run promises of privacy, what it does not, and what is void: the report's `privacy`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fedmed.privacy.accountant import composed, epsilon_of, of_a_group
from fedmed.privacy.masks import KEY_BYTES
from fedmed.privacy.mechanism import Mechanism
from fedmed.privacy.secure_aggregation import FRACTION_BITS

# At this epsilon, a guess between two neighbouring data sets, wrong half the time before, may be
# right 99.995 % of the time after: more promises nothing.
VOID_EPSILON = 10.0

_NOISE = (
    "Gaussian noise on every number of the sum at every hospital, from the operating system's "
    "secure generator"
)
GRADIENTS = (
    f"full-batch gradient descent; each patient's gradient cut to the clip, summed, and {_NOISE}"
)
MEANS = f"the sum of patients' rows of each class, no row longer than the clip, and {_NOISE}"

COVERED = [
    "the federated model, after every round",
    "every message that a hospital sends",
    "each hospital's own model after the last round",
]
NOT_COVERED = [
    "the central model and the models of hospitals alone, trained without privacy to compare with",
    "the counts of patients and X-rays per hospital and class",
    "the statistics that warn of pictures unlike the training data",
    "patients held out for validation and those of the test split, by whom models are scored",
    "the yardstick: the exact optimum and what each hospital contributed",
    "how well an audit's attacks work, which trains twins of the models on the same patients",
    "the choice of settings, made on other runs",
]


def guarantee(mechanism: Mechanism, patients: Mapping[str, int]) -> dict[str, Any]:
    """Return the differential privacy of a run; `patients` is how many each hospital trained on."""
    mu, delta = mechanism.mu, mechanism.delta
    smallest = min(patients, key=lambda name: patients[name])
    # A hospital is a group of its patients.
    whole = epsilon_of(of_a_group(mu, patients[smallest]), delta)
    fields: dict[str, Any] = {
        "epsilon": mechanism.epsilon,
        "delta": delta,
        "mu": mu,
        "unit": "patient: all X-rays and views of one patient are one row",
        "neighbouring": (
            "one patient's row added or left out; how many patients a hospital has is public"
        ),
        "mechanism": MEANS if mechanism.means else GRADIENTS,
        "trust": "nobody: a hospital adds its noise before anything leaves it",
        "clip": mechanism.clip,
        "noise_multiplier": mechanism.noise_multiplier,
        "noise": mechanism.noise,
        "steps": mechanism.steps,
        "step": mechanism.step,
        "composition": (
            f"{mechanism.steps} steps of 1 / {mechanism.noise_multiplier:.4g}-GDP each are "
            f"together {mu:.4g}-GDP"
        ),
        "accounting": "Gaussian differential privacy, exact",
        "replaced": {"epsilon": epsilon_of(of_a_group(mu, 2), delta)},
        "in_two_hospitals": {"epsilon": epsilon_of(composed(mu, 2), delta)},
        "hospital": {
            "name": smallest,
            "patients": patients[smallest],
            "epsilon": whole,
            "void": whole > VOID_EPSILON,
        },
        "covered": COVERED,
        "not_covered": NOT_COVERED,
    }
    return fields | {"void": _void(fields, sum(patients.values()))}


def secure_sums(hospitals: int) -> dict[str, Any]:
    """Return what secure aggregation hides, from whom, and what it takes."""
    return {
        "hides": "every hospital's update from the server, which gets the weighted mean alone",
        "method": (
            "pairwise masks (X25519, HKDF-SHA256, ChaCha20) on fixed-point sums modulo 2^64"
        ),
        "fraction_bits": FRACTION_BITS,
        "setup_bytes": {"up": KEY_BYTES, "down": KEY_BYTES * (hospitals - 1)},
        "assumes": (
            "a server that keeps to the protocol: one that lies about who is missing, or plays "
            "hospitals, is not held off"
        ),
        "not_covered": [
            "what the mean itself tells, which is differential privacy's part",
            "the hospitals' own models, which this snapshot shows beside the federated one",
        ],
    }


def _void(fields: Mapping[str, Any], patients: int) -> list[str]:
    """Name what sounds like a promise and is none."""
    void = []
    hospital = fields["hospital"]
    if hospital["void"]:
        void.append(
            f"for a whole hospital: even the smallest, of {hospital['patients']:,} patients, would "
            f"have epsilon {hospital['epsilon']:,.0f}"
        )
    if fields["epsilon"] > VOID_EPSILON:
        void.append(
            f"for a patient: epsilon {fields['epsilon']:g} is above {VOID_EPSILON:g}, and so large "
            "a one excludes next to nothing"
        )
    if fields["delta"] * patients >= 1:
        void.append(
            f"for a patient: delta {fields['delta']:g} would allow to publish one of the "
            f"{patients:,} patients outright"
        )
    return void

"""Hospitals of patients, one row each, and a space for them, for the tests of privacy."""

from __future__ import annotations

import torch

from fedmed.privacy.mechanism import Mechanism
from fedmed.privacy.rows import PatientSite, Space
from tests.support.sites import CloudSite, skewed

WIDTH = 16
SPACE = Space(torch.full((WIDTH,), 0.1, dtype=torch.float64), 4.0)


def hospitals(width: int = WIDTH) -> list[PatientSite]:
    """Five hospitals of drawn patients, from nearly all PNEUMONIA to nearly all NORMAL."""
    return [of(site) for site in skewed(width)]


def of(site: CloudSite) -> PatientSite:
    return PatientSite(site.name, site.features, site.labels)


def mechanism(epsilon: float = 3.0, steps: int = 6, **more: float) -> Mechanism:
    options = {"delta": 1e-5, "step": 5.0} | more
    return Mechanism(epsilon=epsilon, steps=steps, **options)  # type: ignore[arg-type]

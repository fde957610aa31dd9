"""One row a patient: the unit that privacy is promised for, and the space its rows lie in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fedmed.features.sites import Features
from fedmed.imaging.augmentation import View


@dataclass(frozen=True, eq=False)
class PatientSite:
    """A hospital whose every patient is one row, however many X-rays there are of them.

    So a patient of sixteen X-rays can change no more than a patient of one.
    """

    name: str
    rows: Tensor  # [P, F]: the mean feature of a patient's images and views
    labels: Tensor  # [P] int64: what most of a patient's images show; PNEUMONIA where it is even

    def epoch(self, number: int) -> Tensor:
        """Return the rows [P, F], in every epoch the same."""
        return self.rows


def patient_sites(
    features: Features, patients: Sequence[str], parts: Sequence[np.ndarray], views: Sequence[View]
) -> list[PatientSite]:
    """Return each hospital as patients; `parts` are the hospitals' places among n images.

    `patients` names the patient of each image, [n].
    """
    mean = torch.stack([features.view(view) for view in views]).mean(0)
    names = np.asarray(patients)
    sites = []
    for number, part in enumerate(parts, start=1):
        _, places = np.unique(names[part], return_inverse=True)
        index, chosen = torch.from_numpy(places), torch.from_numpy(np.asarray(part, np.int64))
        counts = torch.bincount(index).float()
        rows = torch.zeros(len(counts), mean.shape[1]).index_add_(0, index, mean[chosen])
        ill = torch.zeros(len(counts)).index_add_(0, index, features.labels[chosen].float())
        sites.append(
            PatientSite(
                name=f"hospital_{number}",
                rows=rows / counts[:, None],
                labels=(2 * ill >= counts).long(),
            )
        )
    return sites


@dataclass(frozen=True, eq=False)
class Space:
    """Where rows are short: features less a public centre, in units of a public radius.

    A row is ((f - centre) / radius, 1) / sqrt 2, its first part cut to length 1, so that no row is
    longer than 1. Neither centre nor radius is a patient's: they cost no privacy.
    """

    centre: Tensor  # [F], float64, as everything here
    radius: float

    def rows(self, features: Tensor) -> Tensor:
        """Return features [P, F] as rows [P, F + 1]."""
        away = (features.double() - self.centre) / self.radius
        away = away / away.norm(dim=1, keepdim=True).clamp_min(1)
        return torch.cat([away, away.new_ones(len(away), 1)], 1) / math.sqrt(2)

    def enter(self, packed: Tensor) -> Tensor:
        """Return heads for features [A, C, F + 1], the bias last, as the same heads for rows."""
        weight, bias = packed[..., :-1], packed[..., -1]
        bias = bias + weight @ self.centre
        return math.sqrt(2) * torch.cat([weight * self.radius, bias[..., None]], -1)

    def leave(self, packed: Tensor) -> Tensor:
        """Undo `enter`."""
        packed = packed / math.sqrt(2)
        weight = packed[..., :-1] / self.radius
        bias = packed[..., -1] - weight @ self.centre
        return torch.cat([weight, bias[..., None]], -1)

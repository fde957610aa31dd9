"""What a study's federations train on and are scored by, in one file that its processes read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from fedmed.data.cohort import labels, patients
from fedmed.evaluation.bootstrap import auc_statistic
from fedmed.experiment.prepare import Prepared
from fedmed.features.sites import Features, HeldFeatures
from fedmed.files import read_tensors
from fedmed.imaging.augmentation import CLEAN
from fedmed.privacy.rows import Space
from fedmed.training.heads import Heads, probabilities


@dataclass(frozen=True, eq=False)
class Material:
    """Features of the training X-rays in every view, and of those that heads are scored by."""

    features: Features
    views: Sequence[int]  # as training rotates through them, numbers in `features`
    patients: Sequence[str]  # [n] whose each training X-ray is
    space: Space
    truth: np.ndarray  # [m] of the validation X-rays
    plain: Tensor  # [m, F]
    shifted: Tensor  # [pairs, m, F]
    simulated: bool

    def scores(self, head: Heads) -> dict[str, float]:
        """Return one head's AUC and balanced accuracy at 0.5, on validation as it is and shifted.

        The latter is the mean over the pairs of shifts.
        """
        found = {
            "": probabilities(head, self.plain)[0][None].numpy(),
            "shifted_": probabilities(head, self.shifted.flatten(0, 1))[0]
            .reshape(self.shifted.shape[:2])
            .numpy(),
        }
        scores = {}
        for name, given in found.items():
            once = np.ones((1, len(self.truth)))
            scores[f"{name}auc"] = float(auc_statistic(given, self.truth)(once).mean())
            recall, cleared = self.recalls(given)
            scores[f"{name}balanced_accuracy"] = float((recall + cleared).mean() / 2)
        return scores

    def recalls(self, given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return recall and specificity of probabilities [k, m]: [k] each."""
        called = given >= 0.5
        return called[:, self.truth == 1].mean(1), 1 - called[:, self.truth == 0].mean(1)


def write(prepared: Prepared, space: Space, path: Path) -> None:
    """Write what `read` reads. It is a run's own scratch file, and no part of a snapshot."""
    different = list(dict.fromkeys([*prepared.views, CLEAN]))
    tensors = {
        f"view {number}": prepared.features.view(view) for number, view in enumerate(different)
    }
    tensors |= {
        "labels": prepared.features.labels,
        "truth": torch.tensor(labels(prepared.validation.xrays)),
        "plain": prepared.validation.features,
        "shifted": prepared.shifted.features,
        "centre": space.centre,
    }
    about = {
        "views": [different.index(view) for view in prepared.views],
        "patients": patients(prepared.training),
        "radius": space.radius,
        "simulated": prepared.cohort.simulated,
    }
    save_file({n: t.contiguous() for n, t in tensors.items()}, path, {"about": json.dumps(about)})


@cache  # once in every process
def read(path: Path) -> Material:
    """Read what `write` wrote."""
    tensors, metadata = read_tensors(path)
    about = json.loads(metadata["about"])
    held = [tensors[f"view {number}"] for number in range(sum("view " in name for name in tensors))]
    return Material(
        features=HeldFeatures(tensors["labels"], held),
        views=about["views"],
        patients=about["patients"],
        space=Space(tensors["centre"], about["radius"]),
        truth=tensors["truth"].numpy(),
        plain=tensors["plain"],
        shifted=tensors["shifted"],
        simulated=about["simulated"],
    )

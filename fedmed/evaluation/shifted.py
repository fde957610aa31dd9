"""Validation that predicts another site: what sets one class apart, given to the other.

In the public data set's train/, NORMAL X-rays were squashed less, show more around the lungs and
differ in sharpness and contrast; held-out patients of train/ share all that, so validation cannot
tell whether a model looks at the lungs or at the framing. Here NORMAL X-rays get what sets
PNEUMONIA apart, and the other way round: nine pairs of shifts, made of the held-out patients alone.
The metrics are means over the pairs. A model that leans on framing falls; one that reads the lungs
hardly does. Recipes are chosen by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from fedmed.data.cohort import Xray, labels, patients
from fedmed.evaluation.metrics import evaluate
from fedmed.imaging.augmentation import CLEAN, View
from fedmed.imaging.shifts import SHIFTS
from fedmed.task import CLASSES
from fedmed.training.heads import Heads, probabilities

# The shift of NORMAL and of PNEUMONIA; None leaves them as they are.
PAIRS: dict[str, tuple[str | None, str | None]] = {
    "aspect of normal": ("rows cut", None),
    "aspect of both": ("rows cut", "columns cut"),
    "framing of normal": ("framed closer", None),
    "framing of normal, more": ("framed much closer", None),
    "sharpness of normal": ("coarse", None),
    "sharpness of both": ("blurred", "sharpened"),
    "contrast of normal": ("less contrast", None),
    "contrast of both": ("less contrast", "more contrast"),
    "all at once": ("turned, closer, paler, compressed", "wider, more contrast, sharpened"),
}
BY_PAIR = ("balanced_accuracy", "auc")


def wanted(xrays: Sequence[Xray]) -> list[tuple[list[Xray], list[View]]]:
    """The views of each class's X-rays that the pairs are made of, as `extract` takes them."""
    return [
        (
            [xray for xray in xrays if xray.label == label],
            list(dict.fromkeys(_view(pair[label]) for pair in PAIRS.values())),
        )
        for label in range(len(CLASSES))
    ]


class Cache(Protocol):
    """Where features lie: a feature cache, or networks' answers, whose width is their number."""

    width: int

    def load(self, view: View, digests: Sequence[str]) -> np.ndarray:
        """Features float32 [n, width] of images that are all there."""


@dataclass(frozen=True)
class SwappedValidation:
    """The held-out X-rays under every pair, to score models on; a protocol of the report."""

    xrays: Sequence[Xray]
    features: Tensor  # [pairs, n, 512]

    @classmethod
    def read(cls, xrays: Sequence[Xray], cache: Cache) -> SwappedValidation:
        """From a cache that holds what `wanted` names."""
        features = torch.empty(len(PAIRS), len(xrays), cache.width)
        for place, pair in enumerate(PAIRS.values()):
            for label in range(len(CLASSES)):
                rows = [row for row, xray in enumerate(xrays) if xray.label == label]
                found = cache.load(_view(pair[label]), [xrays[row].digest for row in rows])
                features[place, rows] = torch.from_numpy(found)
        return cls(xrays, features)

    @property
    def description(self) -> str:
        return (
            "the validation patients with what tells the classes apart by framing swapped: means "
            f"over {len(PAIRS)} pairs of shifts in aspect ratio, framing, sharpness and contrast"
        )

    def probabilities(self, heads: Heads) -> np.ndarray:
        """P(PNEUMONIA) [H, pairs, n] under each of H heads."""
        found = probabilities(heads, self.features.flatten(0, 1))
        return found.unflatten(1, self.features.shape[:2]).numpy()

    def score(self, heads: Heads, names: Sequence[str]) -> dict[str, Any]:
        """METRICS of each of H heads, by name: means over the pairs, intervals over patients."""
        truth, of_whom = np.array(labels(self.xrays)), patients(self.xrays)
        found = evaluate(self.probabilities(heads), truth, of_whom)
        return dict(zip(names, found, strict=True))

    def by_pair(self, scores: np.ndarray) -> dict[str, dict[str, float]]:
        """Return one model's BY_PAIR on each pair, from its P(PNEUMONIA) [pairs, n]."""
        truth, of_whom = np.array(labels(self.xrays)), patients(self.xrays)
        found = evaluate(scores, truth, of_whom, resamples=1)
        return {
            pair: {name: metrics[name]["value"] for name in BY_PAIR}
            for pair, metrics in zip(PAIRS, found, strict=True)
        }


def _view(shift: str | None) -> View:
    return CLEAN if shift is None else View("shifted", list(SHIFTS).index(shift))

"""Images that models are scored on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from fedmed.data.cohort import Xray, labels, patients
from fedmed.evaluation.comparison import compare
from fedmed.evaluation.metrics import evaluate
from fedmed.training.heads import Heads, probabilities


@dataclass(frozen=True)
class EvaluationSet:
    """Images that models are scored on, and where they come from."""

    description: str
    xrays: Sequence[Xray]
    features: Tensor  # [n, 512], clean views

    def probabilities(self, heads: Heads) -> np.ndarray:
        """P(PNEUMONIA) [H, n] under each of H heads."""
        return probabilities(heads, self.features).numpy()

    def score(self, heads: Heads, names: Sequence[str]) -> dict[str, Any]:
        """METRICS of each of H heads, by name."""
        truth, of_whom = np.array(labels(self.xrays)), patients(self.xrays)
        scores = evaluate(self.probabilities(heads), truth, of_whom)
        return dict(zip(names, scores, strict=True))

    def compare(self, first: Heads, second: Heads) -> dict[str, Any]:
        """The federated head minus the central one, paired."""
        truth, of_whom = np.array(labels(self.xrays)), patients(self.xrays)
        scores = [self.probabilities(heads)[0] for heads in (first, second)]
        return compare(scores[0], scores[1], truth, of_whom)

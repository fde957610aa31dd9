"""Class means, federated: each hospital sends two mean feature vectors, once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from fedmed.federated.algorithms.closed_form import ClosedForm
from fedmed.federated.algorithms.lda import constant
from fedmed.federated.messages import Layout
from fedmed.training.rows import Rows, head_of
from fedmed.training.tensors import Tensors


@dataclass(frozen=True)
class ClassMeans(ClosedForm):
    """The nearest of two class means. A hospital with one class only may take part.

    Legate, Bernier, Caccia, Oyallon, Belilovsky: Guiding The Last Layer in Federated Learning
    with Pre-Trained Models (FedNCM), NeurIPS 2023, arXiv:2306.03937. The hospitals also send the
    mean squared length of features: log-odds are the difference of squared distances over the
    variance within classes, which ranks and decides the same and keeps probabilities away from 0
    and 1, where numbers end.
    """

    name: ClassVar[str] = "class-means"
    words: ClassVar[str] = "the nearest of two class means, summed over the hospitals"
    sends: ClassVar[str] = "Class means"

    def sums(self, part: Rows) -> Tensors:
        features = part.features[:, :-1]
        of_class = torch.stack([part.labels == 0, part.labels == 1]) * part.weights
        return {
            "sums": of_class @ features,
            "weights": of_class.sum(1),
            "squares": part.weights @ features.square().sum(1),
        }

    def layout(self, width: int) -> Layout:
        return {"sums": ("F64", [2, width]), "weights": ("F64", [2]), "squares": ("F64", [])}

    def solve(self, sums: Tensors) -> Tensors:
        weights = sums["weights"]
        if bool((weights <= 1e-12).any()):
            return constant(weights, sums["sums"].shape[1])
        means = sums["sums"] / weights[:, None]
        lengths = means.square().sum(1)
        within = (sums["squares"] - weights @ lengths) / weights.sum()
        direction = torch.cat([means[1] - means[0], (lengths[0] - lengths[1])[None] / 2])
        return head_of(direction / within.clamp_min(1e-6 * lengths.mean() + 1e-12))

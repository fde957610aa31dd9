"""Second moments of features with their classes: the message of ridge regression and of LDA."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fedmed.federated.algorithms.closed_form import ClosedForm, refuse_few
from fedmed.federated.messages import Layout
from fedmed.training.local_training import Site
from fedmed.training.rows import Rows
from fedmed.training.tensors import Tensors


@dataclass(frozen=True)
class Moments(ClosedForm):
    """Closed forms of the products x x' and x t, where x ends in a 1 and t is the class, -1 or 1.

    For features of width F that is one message of (F + 1)(F + 2) / 2 + F + 1 numbers: 1 MB at 512.
    """

    sends: ClassVar[str] = "Second moments"
    # Products of fewer images span these images' features: who holds them may read them off.
    fewest: int = 20

    def check(self, site: Site) -> None:
        refuse_few(site, self.fewest, self.name)

    def sums(self, part: Rows) -> Tensors:
        weighted = part.features * part.weights[:, None]
        return {
            "products": upper(weighted.T @ part.features),
            "targets": weighted.T @ (2.0 * part.labels.double() - 1),
        }

    def layout(self, width: int) -> Layout:
        size = width + 1
        return {"products": ("F64", [size * (size + 1) // 2]), "targets": ("F64", [size])}


def upper(matrix: Tensor) -> Tensor:
    """Return a symmetric matrix's upper triangle, row by row: [D, D] -> [D (D + 1) / 2]."""
    return matrix[tuple(torch.triu_indices(*matrix.shape))]


def symmetric(triangle: Tensor, size: int) -> Tensor:
    """Undo `upper`."""
    matrix = triangle.new_zeros(size, size)
    above = tuple(torch.triu_indices(size, size))
    matrix[above] = triangle
    matrix.T[above] = triangle
    return matrix

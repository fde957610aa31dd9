"""Heads: softmax regression on features, one for each model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from fedmed.task import CLASSES
from fedmed.training.tensors import Tensors


class Heads(NamedTuple):
    """H heads for features of width F, one model each; float32."""

    weight: Tensor  # [H, 2, F]
    bias: Tensor  # [H, 2]

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Heads:
        """Take H heads from their named tensors, or one head from tensors without that axis."""
        weight, bias = tensors["weight"], tensors["bias"]
        return cls(weight, bias) if weight.ndim == 3 else cls(weight[None], bias[None])

    def tensors(self) -> Tensors:
        """Return the named tensors, heads along the first axis."""
        return {"weight": self.weight, "bias": self.bias}


def new_heads(count: int, width: int) -> Heads:
    """Zero heads: the problem is convex, so a random start would add noise and help nothing."""
    return Heads(torch.zeros(count, len(CLASSES), width), torch.zeros(count, len(CLASSES)))


def stack(heads: Sequence[Heads]) -> Heads:
    """Several Heads put together as one."""
    return Heads(torch.cat([h.weight for h in heads]), torch.cat([h.bias for h in heads]))


def unstack(heads: Heads) -> list[Heads]:
    """H heads as H Heads of one."""
    return [Heads(w, b) for w, b in zip(heads.weight.split(1), heads.bias.split(1), strict=True)]


def probabilities(heads: Heads, features: Tensor) -> Tensor:
    """P(PNEUMONIA) of n images under each of H heads: [n, F] -> [H, n]."""
    logits = torch.einsum("nf,hcf->hnc", features, heads.weight) + heads.bias[:, None]
    return logits.softmax(2)[..., CLASSES.index("PNEUMONIA")]

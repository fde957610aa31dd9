"""Heads: softmax regression on features, one for each model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from fedmed.task import CLASSES, FEATURES


class Heads(NamedTuple):
    """H heads, one model each; float32."""

    weight: Tensor  # [H, 2, 512]
    bias: Tensor  # [H, 2]


def new_heads(count: int) -> Heads:
    """Zero heads: the problem is convex, so a random start would add noise and help nothing."""
    return Heads(torch.zeros(count, len(CLASSES), FEATURES), torch.zeros(count, len(CLASSES)))


def stack(heads: Sequence[Heads]) -> Heads:
    """Several Heads put together as one."""
    return Heads(torch.cat([h.weight for h in heads]), torch.cat([h.bias for h in heads]))


def unstack(heads: Heads) -> list[Heads]:
    """H heads as H Heads of one."""
    return [Heads(w, b) for w, b in zip(heads.weight.split(1), heads.bias.split(1), strict=True)]


def probabilities(heads: Heads, features: Tensor) -> Tensor:
    """P(PNEUMONIA) of n images under each of H heads: [n, 512] -> [H, n]."""
    logits = torch.einsum("nf,hcf->hnc", features, heads.weight) + heads.bias[:, None]
    return logits.softmax(2)[..., CLASSES.index("PNEUMONIA")]


def add(a: Heads, b: Heads) -> Heads:
    """a + b, tensor by tensor."""
    return Heads(a.weight + b.weight, a.bias + b.bias)


def subtract(a: Heads, b: Heads) -> Heads:
    """a - b, tensor by tensor."""
    return Heads(a.weight - b.weight, a.bias - b.bias)

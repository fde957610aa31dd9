"""Named tensors: a model, an update, what a server or a hospital keeps; a head or a network alike.

Where there are several of something, they lie along the first axis of every tensor.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from fedmed.backbones.weights import is_finite

Tensors = dict[str, Tensor]


def is_statistic(name: str) -> bool:
    """Tell whether a tensor is what batch normalisation measured, which no gradient moves."""
    return name.endswith((".running_mean", ".running_var"))


def add(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> Tensors:
    """Return a + b, tensor by tensor."""
    return {name: tensor + b[name] for name, tensor in a.items()}


def subtract(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> Tensors:
    """Return a - b, tensor by tensor; `b` may be one where `a` is several."""
    return {name: tensor - b[name] for name, tensor in a.items()}


def repeat(one: Mapping[str, Tensor], count: int) -> Tensors:
    """Return `count` times the same, [...] -> [count, ...], without taking memory for it."""
    return {name: tensor.expand(count, *tensor.shape) for name, tensor in one.items()}


def join(parts: Sequence[Mapping[str, Tensor]]) -> Tensors:
    """Put several of several behind each other, [A, ...] and [B, ...] -> [A + B, ...]."""
    if len(parts) == 1:  # without a copy: of networks, it is as large as all hospitals' together
        return dict(parts[0])
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def pick(several: Mapping[str, Tensor], index: int) -> Tensors:
    """Return one of several, [H, ...] -> [...]; the last is -1."""
    return {name: tensor[index] for name, tensor in several.items()}


def take(several: Mapping[str, Tensor], places: Tensor) -> Tensors:
    """Return some of several, [H, ...] -> [P, ...]; all of them without a copy."""
    return {
        name: tensor if len(places) == len(tensor) else tensor[places]
        for name, tensor in several.items()
    }


def put(
    several: Mapping[str, Tensor], places: Tensor, some: Mapping[str, Tensor], count: int
) -> Tensors:
    """Return several, [count, ...], with these at their (rising) places; zeros where none was."""
    if len(places) == count:
        return dict(some)
    result = {}
    for name, tensor in some.items():
        before = several.get(name)
        if before is None:
            before = tensor.new_zeros(count, *tensor.shape[1:])
        result[name] = before.index_copy(0, places, tensor)
    return result


def weighted_mean(several: Mapping[str, Tensor], weights: Tensor) -> Tensors:
    """Return one in the place of several, [H, ...] -> [1, ...], weighted by `weights` [H]."""
    share = weights.double() / weights.sum()
    return {
        name: torch.einsum("h,h...->...", share.to(tensor.dtype), tensor)[None]
        for name, tensor in several.items()
    }


def under(group: str, tensors: Mapping[str, Tensor]) -> Tensors:
    """Name tensors as those of a group: `weight` becomes `mean/weight`."""
    return {f"{group}/{name}": tensor for name, tensor in tensors.items()}


def group(tensors: Mapping[str, Tensor], name: str) -> Tensors:
    """Return the tensors of one group, under the names they have in it: undoes `under`."""
    start = f"{name}/"
    return {key[len(start) :]: value for key, value in tensors.items() if key.startswith(start)}


def all_finite(tensors: Mapping[str, Tensor]) -> bool:
    """Tell whether no number is NaN or infinite."""
    return all(is_finite(tensor) for tensor in tensors.values() if tensor.is_floating_point())


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Return the sha256 over names, types, shapes and bits."""
    found = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        found.update(tensor.contiguous().numpy().reshape(-1).view("u1").data)
    return found.hexdigest()

"""Named tensors as bytes: what travels between a hospital and a server.

A message is a safetensors file. Whoever receives one knows its layout beforehand, names, types and
shapes, and refuses everything else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np
import safetensors
import torch
from safetensors import SafetensorError
from safetensors.numpy import save

from fedmed.training.tensors import Tensors

Layout = dict[str, tuple[str, list[int]]]  # name: safetensors' word for the type, and the shape

_DTYPES = {  # little-endian, as safetensors writes them
    "F64": (torch.float64, "<f8"),
    "F32": (torch.float32, "<f4"),
    "F16": (torch.float16, "<f2"),
    "I64": (torch.int64, "<i8"),
    "I32": (torch.int32, "<i4"),
    "I8": (torch.int8, "i1"),
    "U8": (torch.uint8, "u1"),
}
_WORDS = {dtype: word for word, (dtype, _) in _DTYPES.items()}
_HEADER = 128  # bytes that one tensor takes in the header, its name aside, at most


class TransportError(ValueError):
    """Bytes that are not the message expected."""


class MissingHospitals(TransportError):
    """Messages of a masked round did not come: what came is noise without them."""

    def __init__(self, missing: Sequence[str]) -> None:
        super().__init__(
            f"{', '.join(missing)} did not answer, and masks do not cancel without: the round is "
            "repeated by the others"
        )
        self.missing = tuple(missing)


def layout_of(tensors: Tensors) -> Layout:
    """Return the layout of a message that holds these tensors."""
    return {name: (_WORDS[tensor.dtype], [*tensor.shape]) for name, tensor in tensors.items()}


def zeros(layout: Layout) -> Tensors:
    """Return one message of this layout, [1, ...] each, that says nothing."""
    return {
        name: torch.zeros(1, *shape, dtype=_DTYPES[word][0])
        for name, (word, shape) in layout.items()
    }


def largest(layout: Layout) -> int:
    """Return how many bytes a message of this layout has at most, to be asked before it is read."""
    data = sum(np.dtype(_DTYPES[word][1]).itemsize * prod(shape) for word, shape in layout.values())
    return data + sum(_HEADER + 2 * len(name.encode()) for name in layout) + 16


def encode(sent: Tensors, count: int) -> list[bytes]:
    """Write `count` messages: of tensors [count, ...], message h of their h-th entries."""
    # NumPy, for torch takes longer to start each of these small steps than to do it.
    arrays = {name: tensor.contiguous().numpy() for name, tensor in sent.items()}
    return [save({name: array[h, ...] for name, array in arrays.items()}) for h in range(count)]


def decode(messages: Sequence[bytes], layout: Layout) -> Tensors:
    """Read H messages, which may come from anyone: [H, ...] each.

    Raises:
        TransportError: one is larger than the layout allows, or has another layout, or holds
            numbers that are not finite.
    """
    limit = largest(layout)
    # All sizes are looked at first, and then one message after the other is put in its place: of
    # networks there is no room for all of them twice.
    for message in messages:
        if len(message) > limit:
            raise TransportError(f"{len(message)} bytes is too long for an update: {limit} at most")
    arrays = {
        name: np.empty((len(messages), *shape), _DTYPES[word][1])
        for name, (word, shape) in layout.items()
    }
    for h, message in enumerate(messages):
        for name, array in _read(message, layout).items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise TransportError(f"not an update: {name} holds NaN or infinity")
            arrays[name][h] = array
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _read(message: bytes, layout: Layout) -> dict[str, np.ndarray]:
    try:
        stored: Mapping[str, dict] = dict(safetensors.deserialize(message))
    except SafetensorError as error:
        raise TransportError(f"not an update: {error}") from error
    found = {name: (tensor["dtype"], tensor["shape"]) for name, tensor in stored.items()}
    if found != layout:
        raise TransportError(f"not an update: it holds {found} where {layout} is expected")
    return {
        name: np.frombuffer(tensor["data"], _DTYPES[tensor["dtype"]][1]).reshape(tensor["shape"])
        for name, tensor in stored.items()
    }

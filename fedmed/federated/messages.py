"""An update as bytes: what travels between hospital and server, in three formats, and its count.

The bytes are a safetensors file: `w` [2, 512] and `b` [2], and for int8 the scales `s` [2]. The
bias is always FP32, for 8 bytes are not worth an error.
"""

from __future__ import annotations

import numpy as np
import safetensors
import torch
from safetensors import SafetensorError
from safetensors.numpy import save

from fedmed.errors import UserError
from fedmed.task import CLASSES, FEATURES
from fedmed.training.heads import Heads

FORMATS = ("fp32", "fp16", "int8")

INT8_MAX = 127
LARGEST_MESSAGE = 16_384  # bytes, four times the largest honest one

_WEIGHT, _BIAS = [len(CLASSES), FEATURES], [len(CLASSES)]
_LAYOUTS: dict[str, dict[str, tuple[str, list[int]]]] = {
    "fp32": {"w": ("F32", _WEIGHT), "b": ("F32", _BIAS)},
    "fp16": {"w": ("F16", _WEIGHT), "b": ("F32", _BIAS)},
    "int8": {"w": ("I8", _WEIGHT), "b": ("F32", _BIAS), "s": ("F32", _BIAS)},
}
_DTYPES = {"F32": "<f4", "F16": "<f2", "I8": "i1"}


class TransportError(ValueError):
    """Bytes that are not an update."""


def encode(update: Heads, format: str) -> bytes:
    """One head's update (H = 1) as bytes; raises UserError where it holds NaN or infinity.

    int8 is symmetric, with one scale per class row, max|w| / 127 (Wu et al. 2020,
    arXiv:2004.09602): no weight is off by more than half a scale.
    """
    # NumPy, for torch takes longer to start each of these small steps than to do it.
    weight, bias = (np.ascontiguousarray(part.squeeze(0).numpy()) for part in update)
    _refuse_unless_finite(weight, bias, format=format)
    if format == "fp32":
        return save({"w": weight, "b": bias})
    if format == "fp16":
        with np.errstate(over="ignore"):
            half = weight.astype(np.float16)
        _refuse_unless_finite(half, format=format)
        return save({"w": half, "b": bias})
    if format == "int8":
        scale = np.abs(weight).max(1) / np.float32(INT8_MAX)
        steps = weight / np.where(scale > 0, scale, np.float32(1))[:, None]
        # Near the smallest float a scale is too coarse to keep the quotient within 127.
        steps = steps.round().clip(-INT8_MAX, INT8_MAX)
        return save({"w": steps.astype(np.int8), "b": bias, "s": scale})
    raise ValueError(f"format {format!r}: choose from {', '.join(FORMATS)}")


def decode(data: bytes) -> Heads:
    """The update (H = 1, float32) in bytes that may come from anyone.

    Raises TransportError unless they are exactly an update in one of the formats, all finite.
    """
    if len(data) > LARGEST_MESSAGE:
        raise TransportError(f"{len(data)} bytes is too long for an update")
    try:
        found = dict(safetensors.deserialize(data))
    except SafetensorError as error:
        raise TransportError(f"not an update: {error}") from error
    layout = {name: (tensor["dtype"], tensor["shape"]) for name, tensor in found.items()}
    if layout not in _LAYOUTS.values():
        raise TransportError(f"not an update: it holds {layout}")
    tensors = {
        name: np.frombuffer(found[name]["data"], _DTYPES[dtype]).reshape(shape)
        for name, (dtype, shape) in layout.items()
    }
    weight, bias = tensors["w"].astype(np.float32), tensors["b"].astype(np.float32)
    if "s" in tensors:
        if (tensors["s"] < 0).any() or (tensors["w"] < -INT8_MAX).any():
            raise TransportError("not an update: a scale or a weight is out of range")
        with np.errstate(over="ignore", invalid="ignore"):
            weight *= tensors["s"][:, None]
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise TransportError("not an update: it holds NaN or infinity")
    return Heads(torch.from_numpy(weight[None]), torch.from_numpy(bias[None]))


def _refuse_unless_finite(*arrays: np.ndarray, format: str) -> None:
    if not all(np.isfinite(array).all() for array in arrays):
        raise UserError(
            f"an update has a value that {format} cannot hold (NaN, infinity or too large): "
            "training diverged; lower --learning-rate"
        )

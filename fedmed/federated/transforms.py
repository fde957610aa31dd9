"""What is done to messages on their way: rounded here; clipped, masked or compressed alike.

A transform has two sides. `send` is at the sender and may keep something there for the next round;
`receive` undoes it. Updates go up through them, and broadcasts down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from fedmed.errors import UserError
from fedmed.federated.algorithm import Round
from fedmed.federated.messages import Layout, TransportError, layout_of
from fedmed.training.tensors import Tensors, all_finite, group, pick, under

INT8_MAX = 127


@dataclass(frozen=True)
class Senders:
    """Who sends: hospitals, or the server (one sender, of no samples)."""

    names: tuple[str, ...]  # H
    samples: Tensor  # [H], as how many images each counts

    def together(self) -> Senders:
        """Return all of them as the one sender of their weighted mean."""
        return Senders((" and ".join(self.names),), self.samples.sum()[None])


class Transform(Protocol):
    """What is done to messages on their way; messages lie along the first axis of every tensor."""

    name: ClassVar[str]
    hides: ClassVar[bool]  # the receiver gets one weighted mean in place of the messages

    def layout(self, plain: Layout) -> Layout:
        """Return the layout that `send` gives to a message of layout `plain`."""

    def send(
        self, plain: Tensors, kept: Tensors, senders: Senders, now: Round
    ) -> tuple[Tensors, Tensors]:
        """At the senders: return what is sent, [H, ...] each, and what they keep.

        `kept` is what they kept in the round before, nothing at first. Names in it begin with this
        transform's own, and what others keep in it is passed on.
        """

    def receive(
        self, sent: Tensors, plain: Layout, senders: Senders, now: Round
    ) -> tuple[Tensors, Senders]:
        """At the receiver: undo `send`, [H, ...] each, or return their mean (H = 1).

        Raises:
            TransportError: these are no tensors that `send` makes.
        """


@dataclass(frozen=True)
class FP16:
    """Weights in 16 bits. What has one axis, a bias, stays as it is: so few bytes are not worth it.

    Raises a UserError on the way out where a weight is too large for 16 bits.
    """

    name: ClassVar[str] = "fp16"
    hides: ClassVar[bool] = False

    def layout(self, plain: Layout) -> Layout:
        return plain | {name: ("F16", plain[name][1]) for name in _weights(plain)}

    def send(
        self, plain: Tensors, kept: Tensors, senders: Senders, now: Round
    ) -> tuple[Tensors, Tensors]:
        halves = {name: t.half() if _is_weight(t[0]) else t for name, t in plain.items()}
        refuse_unless_finite(halves, self.name)
        return halves, kept

    def receive(
        self, sent: Tensors, plain: Layout, senders: Senders, now: Round
    ) -> tuple[Tensors, Senders]:
        weights = {name: sent[name].float() for name in _weights(plain)}
        return sent | weights, senders


@dataclass(frozen=True)
class INT8:
    """Weights in 8 bits, symmetric, with one scale for each output channel: max|w| / 127.

    Wu, Judd, Zhang, Isaev, Micikevicius: Integer Quantization for Deep Learning Inference, 2020,
    arXiv:2004.09602. No weight is off by more than half a scale. What has one axis, a bias, stays
    as it is.
    """

    name: ClassVar[str] = "int8"
    hides: ClassVar[bool] = False

    def layout(self, plain: Layout) -> Layout:
        steps: Layout = {name: ("I8", plain[name][1]) for name in _weights(plain)}
        scales: Layout = {f"{name}.scale": ("F32", plain[name][1][:1]) for name in steps}
        return plain | steps | scales

    def send(
        self, plain: Tensors, kept: Tensors, senders: Senders, now: Round
    ) -> tuple[Tensors, Tensors]:
        sent = dict(plain)
        for name, weight in plain.items():
            if not _is_weight(weight[0]):
                continue
            scale = weight.abs().flatten(2).amax(2) / INT8_MAX
            steps = weight / _beside(torch.where(scale > 0, scale, 1.0), weight)
            # Near the smallest float a scale is too coarse to keep the quotient within 127.
            sent[name] = steps.round().clamp(-INT8_MAX, INT8_MAX).to(torch.int8)
            sent[f"{name}.scale"] = scale
        return sent, kept

    def receive(
        self, sent: Tensors, plain: Layout, senders: Senders, now: Round
    ) -> tuple[Tensors, Senders]:
        received = {name: sent[name] for name in plain}
        for name in _weights(plain):
            steps, scale = sent[name], sent[f"{name}.scale"]
            if bool((scale < 0).any()) or bool((steps < -INT8_MAX).any()):
                raise TransportError(f"not an update: {name} or its scale is out of range")
            received[name] = steps.float() * _beside(scale, steps)
        return received, senders


@dataclass(frozen=True)
class CarriedINT8(INT8):
    """INT8 whose loss is carried over: what it rounds away is added to what the next round sends.

    Karimireddy, Rebjock, Stich, Jaggi: Error Feedback Fixes SignSGD and other Gradient Compression
    Schemes, ICML 2019, arXiv:1901.09847, Algorithm 2. A sender keeps one tensor for each weight.
    For updates; a broadcast is a difference to what is held, and so carries over by itself.
    """

    def send(
        self, plain: Tensors, kept: Tensors, senders: Senders, now: Round
    ) -> tuple[Tensors, Tensors]:
        lost = group(kept, self.name)
        wanted = {name: t + lost[name] if name in lost else t for name, t in plain.items()}
        sent, kept = super().send(wanted, kept, senders, now)
        layout = layout_of(pick(plain, 0))
        received, _ = self.receive(sent, layout, senders, now)
        lost = {name: wanted[name] - received[name] for name in _weights(layout)}
        return sent, kept | under(self.name, lost)


FORMATS: dict[str, tuple[Transform, ...]] = {"fp32": (), "fp16": (FP16(),), "int8": (INT8(),)}
# Of whole networks: what INT8 rounds away of millions of small changes adds up over the rounds.
UP_OF_NETWORKS: dict[str, tuple[Transform, ...]] = {**FORMATS, "int8": (CarriedINT8(),)}


def refuse_unless_finite(tensors: Tensors, format: str) -> None:
    """Raise a UserError where a number that is about to be sent is none."""
    if not all_finite(tensors):
        raise UserError(
            f"an update has a value that {format} cannot hold (NaN, infinity or too large): "
            "training diverged; lower --learning-rate"
        )


def _weights(layout: Layout) -> list[str]:
    """The names of what formats write shorter: FP32 of two axes or more, [channels out, ...]."""
    return [name for name, (word, shape) in layout.items() if word == "F32" and len(shape) > 1]


def _is_weight(tensor: Tensor) -> bool:
    return tensor.dtype == torch.float32 and tensor.ndim > 1


def _beside(scale: Tensor, weight: Tensor) -> Tensor:
    """[H, C] in the shape that multiplies [H, C, ...]."""
    return scale.reshape(*scale.shape, *[1] * (weight.ndim - 2))

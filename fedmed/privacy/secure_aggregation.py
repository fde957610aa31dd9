"""Secure aggregation: the server gets the hospitals' mean and no hospital's update.

Every hospital multiplies its update by its number of samples, writes it in fixed point and adds
masks that cancel in the sum of all (masks.py). Sums are of whole numbers modulo 2^64, so the masked
sum is the plain sum to the last bit.

It hides updates from a server that keeps to the protocol but is curious. A server that lies about
who is missing, and so gets two sums that differ by one hospital, is not held off; nor is one that
plays hospitals. What the mean itself tells is not hidden: that is differential privacy's part.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from fedmed.errors import UserError
from fedmed.federated.algorithm import Round
from fedmed.federated.attendance import Attendance
from fedmed.federated.messages import Layout, MissingHospitals
from fedmed.federated.transforms import Senders
from fedmed.privacy.masks import Keys
from fedmed.training.tensors import Tensors, pick

FRACTION_BITS = 32  # of a number times the hospital's samples
FEWEST = 3  # of two, each would learn the other's update from the mean
MOST = 200  # every two share a secret, which takes their number squared
_FLOATS = {"F32": torch.float32, "F64": torch.float64}


@dataclass(frozen=True, eq=False)
class SecureAggregation:
    """The transform: masked sums up, their mean at the server."""

    name: ClassVar[str] = "secure aggregation"
    hides: ClassVar[bool] = True

    keys: Keys = field(repr=False)

    def layout(self, plain: Layout) -> Layout:
        """Return 64-bit whole numbers in the place of every number.

        Raises:
            UserError: an update holds other numbers than FP32 or FP64.
        """
        for name, (word, _) in plain.items():
            if word not in _FLOATS:
                raise UserError(
                    f"secure aggregation adds up numbers of FP32 and FP64, and {name} is {word}: "
                    "leave out --quantize or --secure-aggregation"
                )
        return {name: ("I64", shape) for name, (_, shape) in plain.items()}

    def send(
        self, plain: Tensors, kept: Tensors, senders: Senders, now: Round
    ) -> tuple[Tensors, Tensors]:
        """Hide [H, ...] each behind the masks that the hospitals of the round share.

        Raises:
            UserError: there are too few or too many hospitals, or a number is too large.
        """
        check_count(len(now.hospitals))
        # Masks belong to places, so that every hospital must put its tensors in the same ones.
        plain = dict(sorted(plain.items()))
        flat = [_fixed_point(pick(plain, h), senders, h, now) for h in range(len(senders.names))]
        masked = np.stack(
            [
                self.keys.mask(name, now.hospitals, f"round {now.number}", numbers)
                for name, numbers in zip(senders.names, flat, strict=True)
            ]
        )
        return _split(torch.from_numpy(masked.view(np.int64)), plain), kept

    def receive(
        self, sent: Tensors, plain: Layout, senders: Senders, now: Round
    ) -> tuple[Tensors, Senders]:
        """At the server: return the weighted mean of all H messages, [1, ...] each.

        Raises:
            MissingHospitals: a hospital of the round is not among the senders.
        """
        if missing := [name for name in now.hospitals if name not in senders.names]:
            raise MissingHospitals(missing)
        total = senders.samples.sum()
        mean = {}
        for name, tensor in sent.items():
            # Modulo 2^64 the masks are gone, and the sum is small again.
            summed = tensor.numpy().view(np.uint64).sum(0, keepdims=True).view(np.int64)
            exact = torch.from_numpy(summed).double() / 2**FRACTION_BITS
            mean[name] = (exact / total).to(_FLOATS[plain[name][0]])
        return mean, Senders(("all hospitals",), total[None])


def check_count(hospitals: int) -> None:
    """Refuse a number of hospitals for which masks hide too little or take too long.

    Raises:
        UserError: naming what is allowed.
    """
    if not FEWEST <= hospitals <= MOST:
        raise UserError(
            f"secure aggregation among {hospitals:,} hospitals: from {FEWEST} to {MOST} can take "
            "part, for of two each learns the other's update, and every two share a secret"
        )


def check_attendance(attendance: Attendance, hospitals: int, rounds: int, seed: int) -> None:
    """Refuse a run in which some round would be left with too few hospitals for masks to hide.

    Who answers in which round is drawn of the seed alone, and so known beforehand.

    Raises:
        UserError: naming the first such round.
    """
    for number in range(1, rounds + 1):
        _, present = attendance.draw(hospitals, number, seed)
        if len(present) < FEWEST:
            raise UserError(
                f"--secure-aggregation: in round {number} {len(present)} of {hospitals} hospitals "
                f"would answer, and {FEWEST} are needed for the mean to hide anybody's update: "
                "take more --hospitals, a higher --participation, a lower --drop-out, or another "
                "--seed"
            )


def _fixed_point(update: Tensors, senders: Senders, place: int, now: Round) -> np.ndarray:
    """Return an update times its hospital's samples as uint64 [n], modulo 2^64."""
    samples = float(senders.samples[place])
    flat = torch.cat([tensor.reshape(-1).double() for tensor in update.values()]) * samples
    limit = 2.0 ** (63 - FRACTION_BITS) / len(now.hospitals)
    if not bool((flat.abs() < limit).all()):
        raise UserError(
            f"{senders.names[place]}: a number of the update times its {samples:,.0f} samples is "
            f"not below {limit:,.0f}, which is as much as secure aggregation holds for "
            f"{len(now.hospitals)} hospitals: lower --learning-rate, or leave out "
            "--secure-aggregation"
        )
    return (flat * 2**FRACTION_BITS).round().to(torch.int64).numpy().view(np.uint64)


def _split(flat: Tensor, like: Tensors) -> Tensors:
    """Cut numbers [H, n] into the tensors of an update, [H, ...] each."""
    sizes = [tensor[0].numel() for tensor in like.values()]
    return {
        name: piece.reshape(len(flat), *like[name].shape[1:])
        for name, piece in zip(like, flat.split(sizes, 1), strict=True)
    }

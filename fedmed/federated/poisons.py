"""The ways to poison a hospital, read from an option without loading what trains."""

from __future__ import annotations

import math

from fedmed.errors import UserError

KINDS = "label-flip, sign-flip or scale:X with a number X, as scale:100"
LARGEST = 1e6


def factor_of(text: str) -> float:
    """Return what a hospital so poisoned multiplies its messages by; 1 where it flips its labels.

    Raises:
        UserError: it is no way to poison.
    """
    plain = {"label-flip": 1.0, "sign-flip": -1.0}
    if text in plain:
        return plain[text]
    kind, _, number = text.partition(":")
    try:
        factor = float(number) if kind == "scale" else math.nan
    except ValueError:
        factor = math.nan
    if not abs(factor) <= LARGEST:
        raise UserError(f"{text!r} is no way to poison: {KINDS}, at most a million")
    return factor

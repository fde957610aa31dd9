"""The bytes that a federation sent, counted on its messages."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

WHOLE = "Whole ResNet18, FP32"
PRECISIONS = {"fp32": "FP32", "fp16": "FP16", "int8": "INT8"}


def titles(sends: str, *, rounded: bool = True) -> dict[str, str]:
    """What is called what in the report: what algorithms send, by format.

    Sums in FP64 are not `rounded` by any format.
    """
    told = {
        format: f"{sends}, {precision if rounded else 'FP64'}"
        for format, precision in PRECISIONS.items()
    }
    return {"full_fp32": WHOLE} | told


TITLES = titles("Head")
MASKED = "Masked sums, 64 bits"  # as secure aggregation sends them


@dataclass(frozen=True)
class Ledger:
    """Bytes sent, a dictionary {hospital: bytes} per round; up is from hospital to server."""

    up: list[dict[str, int]] = field(default_factory=list)
    down: list[dict[str, int]] = field(default_factory=list)

    def after(self, *, up: dict[str, int], down: dict[str, int]) -> Ledger:
        """This ledger with one more round."""
        return Ledger([*self.up, up], [*self.down, down])

    def in_sizes(self, up: int, down: int) -> Ledger:
        """This ledger as if every message up and down had these many bytes."""
        return Ledger(
            [dict.fromkeys(entry, up) for entry in self.up],
            [dict.fromkeys(entry, down) for entry in self.down],
        )

    @property
    def update(self) -> int:
        """The usual size of what a hospital sends in a round.

        Between machines more may go to and fro: to one that was away, or where a round is repeated.
        """
        return statistics.mode(size for entry in self.up for size in entry.values())

    @property
    def hospitals(self) -> int:
        """How many were asked in any round; who was away from one got nothing in it."""
        return len({name for asked in self.down for name in asked})

    @property
    def messages(self) -> list[int]:
        """The bytes to and from each hospital in each round of the run."""
        return [size for entry in [*self.up, *self.down] for size in entry.values()]


def full_model_bytes(state: Mapping[str, Tensor]) -> int:
    """What sending a whole network in FP32 would cost, headers aside.

    `state` is its state dict: parameters and BatchNorm statistics count, integer counters do not.
    """
    return 4 * sum(tensor.numel() for tensor in state.values() if tensor.is_floating_point())


def summary(
    ledgers: Mapping[str, Ledger], full_model: int, titles: Mapping[str, str] = TITLES
) -> dict[str, dict[str, Any]]:
    """The report's cost per format: measured for each ledger, computed for the whole model.

    `ledgers` are of runs with the same hospitals and rounds, at least one; `full_model` is the
    size of one full update in bytes. Rounds count both ways and all hospitals.
    """
    some = next(iter(ledgers.values()))
    sent = {"full_fp32": (full_model, full_model * len(some.messages))}
    sent |= {format: (one.update, sum(one.messages)) for format, one in ledgers.items()}
    return {
        format: {
            "title": titles.get(format, MASKED),
            "measured": format in ledgers,
            "update_bytes": update,
            "round_bytes": total // len(some.up),
            "run_bytes": total,
        }
        for format, (update, total) in sent.items()
    }

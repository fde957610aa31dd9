"""A small federation between machines, run without any, and its evaluation.json."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from fedmed.federated.state import State
from fedmed.flower.coordinator import STATE, Coordinator
from fedmed.flower.hospital import Hospital
from fedmed.flower.options import Options
from fedmed.flower.record import Record
from fedmed.flower.snapshot import describe
from fedmed.privacy.rows import Space
from tests.support.machines import MIXES, CloudPremises, LocalWire
from tests.support.sites import CloudSite
from tests.support.snapshots import random_backbone

BACKBONE = random_backbone()
SPACE = Space(torch.full((BACKBONE.width,), 0.1, dtype=torch.float64), 4.0)


@dataclass
class WidePremises(CloudPremises):
    """Features as wide as a ResNet18's."""

    def site(self, recipe: str, views: int, seed: int) -> CloudSite:
        return CloudSite(self.name, *self.mix, width=BACKBONE.width)

    def space(self) -> Space:
        return SPACE


def federation(folder: Path, spoil: Any = None, **options: Any) -> tuple[Record, State]:
    """Run one of three hospitals into `folder`; return what the coordinator keeps."""

    def one(number: int) -> Hospital:
        name = f"hospital_{number}"
        here = WidePremises(name, MIXES[number - 1], folder / "homes" / name, backbone=BACKBONE)
        return Hospital(name, lambda: here)  # type: ignore[arg-type,return-value]

    wire = LocalWire([one(number) for number in (1, 2, 3)], *([spoil] if spoil else []))
    given = {"hospitals": 3, "rounds": 2, "local_epochs": 1, "batch_size": 32}
    given |= {"wait_seconds": 0.0, "output": str(folder)} | options
    Coordinator(Options(**given), BACKBONE, wire, space=lambda backbone, cache: SPACE).run()
    record = Record.load(folder)
    assert record
    return record, State.load(folder / STATE)


def machines_report(folder: Path, spoil: Any = None, **options: Any) -> dict[str, Any]:
    """evaluation.json of it."""
    return describe(*federation(folder, spoil, **options), BACKBONE)

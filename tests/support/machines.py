"""A federation between machines without machines: hospitals as objects, messages copied."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from fedmed.federated.state import State
from fedmed.flower.budget import NO_LIMITS, Limits
from fedmed.flower.coordinator import Coordinator
from fedmed.flower.hospital import Hospital
from fedmed.flower.options import Options
from fedmed.flower.wire import Failure
from fedmed.privacy.rows import PatientSite, Space
from tests.support.patients import of
from tests.support.sites import CloudSite

WIDTH = 8
BACKBONE: Any = SimpleNamespace(width=WIDTH, sha256="b" * 64, id="cloud")
SPACE = Space(torch.full((WIDTH,), 0.1, dtype=torch.float64), 4.0)
MIXES = [(20, 60), (30, 30), (70, 25)]


@dataclass
class CloudPremises:
    """Stands for `Premises`: features are drawn."""

    name: str
    mix: tuple[int, int]
    home: Path
    backbone: Any = field(default_factory=lambda: BACKBONE)
    cohort: Any = field(default_factory=lambda: SimpleNamespace(simulated=True))

    def counts(self) -> dict[str, Any]:
        return {
            "images": [*self.mix],
            "patients": sum(self.mix),
            "held_out": [3, 4],
            "simulated": True,
        }

    def site(self, recipe: str, views: int, seed: int) -> CloudSite:
        return CloudSite(self.name, *self.mix, width=WIDTH)

    def patients(self, recipe: str, views: int, seed: int) -> PatientSite:
        return of(self.site(recipe, views, seed))

    def space(self) -> Space:
        return SPACE

    def held_out(self) -> None:
        pass

    def score(self, heads: Any, *, of_patients: bool = False) -> list[int]:
        return [2, 1, 0, 4]


def hospitals(
    home: Path, mixes: list[tuple[int, int]] = MIXES, limits: Limits = NO_LIMITS
) -> list[Hospital]:
    """Hospitals hospital_1 ..., each with a home of its own."""

    def one(number: int, mix: tuple[int, int]) -> Hospital:
        name = f"hospital_{number}"
        return Hospital(name, lambda: CloudPremises(name, mix, home / name), limits)  # type: ignore[arg-type,return-value]

    return [one(number, mix) for number, mix in enumerate(mixes, 1)]


def sites(mixes: list[tuple[int, int]] = MIXES) -> list[CloudSite]:
    """What these hospitals train on."""
    return [CloudSite(f"hospital_{n}", *mix, width=WIDTH) for n, mix in enumerate(mixes, 1)]


@dataclass
class LocalWire:
    """A `Wire` to objects; node 101 is the first hospital. `spoil` may change an answer."""

    there: list[Hospital]
    spoil: Callable[[int, str, dict, dict], Any] = lambda node, kind, message, answer: answer
    away: set[int] = field(default_factory=set)
    engine: str = "memory 1.0"
    tls: bool = True
    registered: dict[int, str] = field(default_factory=dict)  # other names than their own
    asked: list[tuple[str, list[int]]] = field(default_factory=list)

    def online(self) -> dict[int, str]:
        there = {101 + place: hospital.name for place, hospital in enumerate(self.there)}
        registered = there | self.registered
        return {node: registered[node] for node in there if node not in self.away}

    def ask(self, kind, messages, seconds, awaited):
        self.asked.append((kind, [*messages]))
        return {node: self._answer(node, kind, message) for node, message in messages.items()}

    def _answer(self, node: int, kind: str, message: dict) -> Any:
        if node in self.away:
            return Failure("it is gone")
        answer = self.there[node - 101].answer(kind, copy.deepcopy(message))
        return self.spoil(node, kind, message, copy.deepcopy(answer))


def coordinator(wire: LocalWire, output: Path, **options: Any) -> Coordinator:
    """A coordinator of quick rounds that waits for nobody."""
    given = {"hospitals": len(wire.there), "rounds": 3, "local_epochs": 2, "batch_size": 32}
    given |= {"wait_seconds": 0.0, "output": str(output)} | options
    return Coordinator(Options(**given), BACKBONE, wire, space=lambda backbone, cache: SPACE)


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    """Whether two models are equal to the last bit."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@contextmanager
def killed(in_round: int = 2, *, saved: bool = False) -> Iterator[None]:
    """Kill the coordinator as it writes down a round's state: before, or once that is `saved`."""
    save = State.save

    def stop(state: State, path: Path) -> None:
        if saved:
            save(state, path)
        if state.round == in_round:
            raise KeyboardInterrupt
        save(state, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(State, "save", stop)
        with pytest.raises(KeyboardInterrupt):
            yield


def watched(there: list[Hospital]) -> tuple[LocalWire, list[tuple[str, dict]]]:
    """A wire, and the kind and answer of everything that hospitals send over it."""
    seen: list[tuple[str, dict]] = []

    def look(node: int, kind: str, message: dict, answer: dict) -> dict:
        seen.append((kind, answer))
        return answer

    return LocalWire(there, look), seen


def asked_of(wire, node=101):
    """What a hospital is asked and answers in each round, kept as the run goes on."""
    kept: dict[int, tuple[dict, dict]] = {}

    def look(at, kind, message, answer):
        if kind == "train" and at == node:
            kept[message["round"]] = message, answer
        return answer

    wire.spoil = look
    return kept

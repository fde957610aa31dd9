"""What a visitor may set: train.py's names, bounded so that a run stays short."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

from fedmed.data.partition import SCHEMES, SKEW
from fedmed.errors import UserError
from fedmed.experiment.choices import ALGORITHMS, NEED_THREE
from fedmed.experiment.combinations import faults
from fedmed.federated.poisons import factor_of

MOST_EPOCHS = 600  # at a hospital, over all rounds
FORMATS = ("none", "fp16", "int8")


@dataclass(frozen=True)
class LabSettings:
    """A run's settings. Hospitals are numbered from 1."""

    hospitals: int = 5
    partition: str = SCHEMES[0]
    skew: float = SKEW
    alpha: float = 0.5
    rounds: int = 20
    local_epochs: int = 3
    algorithm: str = "fedavg"
    participation: float = 1.0
    drop_out: float = 0.0
    poison: str | None = None
    poisoned: int | None = None  # the hospital; without it the last one
    off: tuple[int, ...] = ()  # hospitals that are not in the federation
    late: tuple[int, ...] = ()  # hospitals whose answer misses every second round
    quantize: str = "none"
    epsilon: float | None = None
    attack: bool = False  # whether the federated model is asked who was in the training set
    seed: int = 42

    train: ClassVar[str] = "head"
    delta: ClassVar[float] = 1e-5
    secure_aggregation: ClassVar[bool] = False
    audit: ClassVar[bool] = False
    keep_sums: ClassVar[bool] = False
    personalise: ClassVar[str | None] = None
    study: ClassVar[bool] = False

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> LabSettings:
        """Read settings as JSON has them; what is None or left out is as by default.

        Raises:
            UserError: a setting is unknown, is not what it should be, or does not go with another.
        """
        if unknown := sorted(set(given) - set(_READ)):
            raise UserError(
                f"There is no setting {ascii(str(unknown[0]))[:60]}. Choose from: "
                f"{', '.join(_READ)}."
            )
        settings = cls(
            **{name: _READ[name](name, value) for name, value in given.items() if value is not None}
        )
        for fault in settings._faults():
            raise UserError(fault)
        return settings

    @property
    def format(self) -> str:
        """The format of the updates sent."""
        return "fp32" if self.quantize == "none" else self.quantize

    @property
    def spoiled(self) -> int | None:
        """The hospital that is poisoned, if one is."""
        if self.poison is None:
            return None
        return self.poisoned or self.hospitals

    def as_json(self) -> dict[str, Any]:
        """All settings, as `of` reads them."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    def _faults(self) -> list[str]:
        found = [_in_names(fault) for fault in faults(self)]
        if self.rounds * self.local_epochs > MOST_EPOCHS:
            found.append(
                f"rounds times local_epochs may be {MOST_EPOCHS} at most, and these are "
                f"{self.rounds * self.local_epochs}: lower either."
            )
        named = [*self.off, *self.late, *([self.poisoned] if self.poisoned else [])]
        if beyond := [number for number in named if number > self.hospitals]:
            found.append(f"There is no hospital {beyond[0]} of {self.hospitals}.")
        if both := sorted(set(self.off) & {*self.late, self.spoiled}):
            found.append(
                f"Hospital {both[0]} is off, and so neither late nor poisoned: choose one."
            )
        here = self.hospitals - len(self.off)
        fewest = 3 if self.algorithm in NEED_THREE else 1
        if here < fewest:
            found.append(f"{self.algorithm} needs {fewest} hospitals that are not off, not {here}.")
        if self.late and self.algorithm in _NO_LATE:
            found.append(
                f"{self.algorithm} needs every hospital in every round: let none be late, or "
                "choose an algorithm that averages, as fedavg."
            )
        return found


def _in_names(fault: str) -> str:
    """A fault of options of the command line, said of settings."""
    plain = re.sub(r"--([a-z][a-z-]*)", lambda flag: flag[1].replace("-", "_"), fault)
    return plain[0].upper() + plain[1:] + "."


def _whole(low: int, high: int) -> Callable[[str, Any], int]:
    def read(name: str, value: Any) -> int:
        number = _as_number(value)
        if number != int(number) or not low <= number <= high:
            raise UserError(f"{name} is a whole number from {low} to {high}, not {_said(value)}.")
        return int(number)

    return read


def _between(low: float, high: float) -> Callable[[str, Any], float]:
    def read(name: str, value: Any) -> float:
        number = _as_number(value)
        if not low <= number <= high:
            raise UserError(f"{name} is a number from {low:g} to {high:g}, not {_said(value)}.")
        return number

    return read


def _one_of(*choices: str) -> Callable[[str, Any], str]:
    def read(name: str, value: Any) -> str:
        if value not in choices:
            raise UserError(f"{name} is one of {', '.join(choices)}, not {_said(value)}.")
        return str(value)

    return read


def _poison(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise UserError(f"{name} is text, as label-flip, not {_said(value)}.")
    factor_of(value)
    return value


def _numbers(name: str, value: Any) -> tuple[int, ...]:
    """Hospitals by number: a list, or text as '2,4'."""
    parts = [part for part in value.split(",") if part] if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)) or len(parts) > 50:
        raise UserError(f"{name} is a list of hospitals by number, as 2,4, not {_said(value)}.")
    return tuple(sorted({_whole(1, 50)(name, part) for part in parts}))


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise UserError(f"{name} is true or false, not {_said(value)}.")
    return value


def _as_number(value: Any) -> float:
    """A number of JSON or of text; -infinity where it is none, which no bounds hold."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return -1e300
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return -1e300
    return number if math.isfinite(number) else -1e300


def _said(value: Any) -> str:
    return ascii(value)[:40]


_NO_LATE = ("class-means", "ridge", "lda", "newton")
_READ: dict[str, Callable[[str, Any], Any]] = {
    "hospitals": _whole(2, 50),
    "partition": _one_of(*SCHEMES),
    "skew": _between(1, 256),
    "alpha": _between(0.05, 100),
    "rounds": _whole(1, 100),
    "local_epochs": _whole(1, 30),
    "algorithm": _one_of(*ALGORITHMS),
    "participation": _between(0.02, 1),
    "drop_out": _between(0, 0.9),
    "poison": _poison,
    "poisoned": _whole(1, 50),
    "off": _numbers,
    "late": _numbers,
    "quantize": _one_of(*FORMATS),
    "epsilon": _between(0.1, 100),
    "attack": _flag,
    "seed": _whole(0, 2**31 - 1),
}
assert set(_READ) == {field.name for field in fields(LabSettings)}

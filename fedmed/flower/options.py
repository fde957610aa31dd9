"""How a coordinator runs a federation between machines: what `flwr run --run-config` may set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

from fedmed.errors import UserError


@dataclass(frozen=True)
class Options:
    """A coordinator's options; the names, with `-` for `_`, are those of flower/pyproject.toml."""

    hospitals: int = 5  # that are waited for at the start
    min_hospitals: int = 0  # without which no round counts; 0 is all
    rounds: int = 5
    local_epochs: int = 3
    algorithm: str = "fedavg"
    format: str = "fp32"
    batch_size: int = 64
    learning_rate: float = 1e-3
    recipe: str = "robust"
    views: int = 4
    seed: int = 42
    backbone: str = "imagenet"
    output: str = "federation"  # the folder for state, record and head
    wait_seconds: float = 3600.0  # for hospitals to be there, and to answer when they join
    round_seconds: float = 1800.0  # for an answer in a round

    @classmethod
    def of(cls, given: Mapping[str, object]) -> Options:
        """Read a run's configuration.

        Raises:
            UserError: an option is unknown or of another kind.
        """
        known = {field.name.replace("_", "-"): field for field in fields(cls)}
        values: dict[str, object] = {}
        for name, value in given.items():
            if name not in known:
                raise UserError(f"{name}: no such option; there are {', '.join(known)}")
            default = known[name].default
            if isinstance(default, float) and type(value) is int:
                value = float(value)
            if type(value) is not type(default):
                raise UserError(f"{name}: {value!r} is not of the kind of {default!r}")
            values[known[name].name] = value
        options = replace(cls(), **values)  # type: ignore[arg-type]
        if not 1 <= options.least <= options.hospitals:
            raise UserError("min-hospitals: choose from 1 to the number of hospitals, or 0 for all")
        return options

    @property
    def least(self) -> int:
        """How many hospitals a round needs."""
        return self.min_hospitals or self.hospitals

    @property
    def folder(self) -> Path:
        """Where state, record and head are written."""
        return Path(self.output)

"""How a coordinator runs a federation between machines: what `flwr run --run-config` may set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from fedmed.errors import UserError
from fedmed.experiment.choices import ALGORITHMS
from fedmed.flower.faults import faults

# What is set for networks unless it is given, as by train.py.
OF_NETWORKS: dict[str, object] = {"batch-size": 32, "learning-rate": 3e-4}


def _option(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class Options:
    """A coordinator's options; the names, with `-` for `_`, are those of flower/pyproject.toml."""

    hospitals: int = _option(5, "hospitals that are waited for at the start")
    min_hospitals: int = _option(0, "hospitals without which no round counts; 0 is all")
    rounds: int = _option(5, "rounds")
    local_epochs: int = _option(3, "epochs at each hospital per round")
    algorithm: str = _option("fedavg", f"{', '.join(ALGORITHMS)}")
    format: str = _option("fp32", "of updates: fp32, fp16, int8")
    epsilon: float = _option(
        0.0,
        "differential privacy of every patient, by noise that each hospital adds; 1 is strong, 8 "
        "is weak, 0 is none",
    )
    delta: float = _option(1e-5, "with epsilon, how likely its bound may fail")
    secure_aggregation: bool = _option(
        False, "hide every hospital's update from this server behind masks that cancel in the sum"
    )
    batch_size: int = _option(64, "images per step")
    learning_rate: float = _option(1e-3, "Adam's learning rate")
    recipe: str = _option("robust", "augmentation and class weights: robust, mission")
    views: int = _option(4, "augmented views of each image")
    seed: int = _option(42, "seed of every random choice")
    backbone: str = _option("imagenet", "as train.py's; hospitals need the same")
    train: str = _option("head", "what hospitals train: head, or network, all of its weights")
    size: int = _option(128, "of networks: the side of their input in pixels")
    batch_norm: str = _option("average", "of networks: average, local, frozen, as train.py's")
    deterministic: bool = _option(False, "networks train in FP32, also where bf16 is faster")
    output: str = _option("federation", "folder for state, record and head")
    wait_seconds: float = _option(3600.0, "for hospitals to come, and to answer when they join")
    round_seconds: float = _option(1800.0, "for an answer in a round")

    @classmethod
    def of(cls, given: Mapping[str, object]) -> Options:
        """Read a run's configuration.

        Raises:
            UserError: an option is unknown or of another kind, or two make no sense together.
        """
        if given.get("train") == "network":
            given = {**OF_NETWORKS, **given}
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
        for fault in faults(options, options.hospitals, options.least):
            raise UserError(fault)
        return options

    @property
    def least(self) -> int:
        """How many hospitals a round needs."""
        return self.min_hospitals or self.hospitals

    @property
    def folder(self) -> Path:
        """Where state, record and head are written."""
        return Path(self.output)

"""What a coordinator and its hospitals must agree on before anything is trained."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, get_args

from fedmed.backbones.weights import MIN_SIZE
from fedmed.errors import UserError
from fedmed.federated.algorithm import Round
from fedmed.federated.algorithms import ALGORITHMS
from fedmed.federated.transforms import FORMATS
from fedmed.flower.faults import faults
from fedmed.task import CLASSES, IMAGE_SIZE
from fedmed.training.local_training import train_heads
from fedmed.training.network import WEIGHT_DECAY, BatchNorm
from fedmed.training.optimizer import Optimisation
from fedmed.training.recipe import RECIPES

PROTOCOL = 3  # raised whenever a message changes

# What a message holds: the values that Flower's records can carry.
Content = dict[str, Any]


class Disagreement(UserError):
    """A coordinator and a hospital are not of one mind. The sentence may be sent: it names
    digests, classes, versions and options, and nothing of the hospital's."""


@dataclass(frozen=True)
class Terms:
    """A run, as every one of its messages tells it."""

    run: str
    backbone: str  # its sha256
    algorithm: str
    format: str
    rounds: int
    local_epochs: int
    batch_size: int
    learning_rate: float
    recipe: str
    views: int
    seed: int
    epsilon: float = 0.0  # of the whole run, for each patient; 0 is none
    delta: float = 1e-5
    secure_aggregation: bool = False
    train: str = "head"  # or network; the three that follow are of networks alone
    size: int = 128  # of a network's input, in pixels
    batch_norm: str = "average"
    deterministic: bool = False  # FP32 even where the processor has bf16
    classes: tuple[str, ...] = CLASSES
    protocol: int = PROTOCOL

    def text(self) -> str:
        """These terms as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: object) -> Terms:
        """Read what `text` wrote; it comes from another machine.

        Raises:
            Disagreement: it is of another version, or no terms that this version knows.
        """
        try:
            found = json.loads(text) if isinstance(text, str) else None
            if not isinstance(found, dict):
                raise ValueError("no object")
        except ValueError as error:
            raise Disagreement("the message tells no terms: both sides need FedMed") from error
        if found.get("protocol") != PROTOCOL:
            raise Disagreement(_differs("protocol version", found.get("protocol"), PROTOCOL))
        kinds = {"str": str, "int": int, "float": float, "bool": bool, "tuple[str, ...]": list}
        for field in fields(cls):
            value = found.get(field.name)
            if type(value) is not kinds[str(field.type)]:
                raise Disagreement(f"the terms tell no {field.name} of the kind {field.type}")
        terms = cls(**{field.name: found[field.name] for field in fields(cls)})
        terms._check()
        return cls(**{**asdict(terms), "classes": tuple(terms.classes)})

    def _check(self) -> None:
        if list(self.classes) != list(CLASSES):
            raise Disagreement(_differs("class list", ", ".join(self.classes), ", ".join(CLASSES)))
        tables: Mapping[str, Any] = {
            "algorithm": ALGORITHMS,
            "format": FORMATS,
            "recipe": RECIPES,
            "train": ("head", "network"),
            "batch_norm": get_args(BatchNorm),
        }
        for name, table in tables.items():
            if getattr(self, name) not in table:
                raise Disagreement(
                    f"{name} {_short(getattr(self, name))}: choose from {', '.join(table)}"
                )
        limits = {"rounds": 10_000, "local_epochs": 10_000, "batch_size": 10_000, "views": 1_000}
        for name, most in limits.items():
            if not 1 <= getattr(self, name) <= most:
                raise Disagreement(f"{name} is {getattr(self, name)}: choose from 1 to {most:,}")
        if not MIN_SIZE <= self.size <= IMAGE_SIZE:
            raise Disagreement(f"size is {self.size}: choose from {MIN_SIZE} to {IMAGE_SIZE}")
        if not 0 < self.learning_rate <= 1e6:
            raise Disagreement("learning_rate must be above 0, at most a million")
        for fault in faults(self):
            raise Disagreement(fault)
        if not 0 <= self.seed < 2**31 or len(self.run) != 16 or not self.run.isalnum():
            raise Disagreement("the run has no name or seed of the right form")

    def round(
        self, number: int, hospitals: Sequence[str], class_weights: tuple[float, float]
    ) -> Round:
        """Return a round of the run, the same at the coordinator and at every hospital."""
        return Round(
            number=number,
            hospitals=tuple(hospitals),
            epochs=range((number - 1) * self.local_epochs, number * self.local_epochs),
            optimisation=self.optimisation(class_weights),
            seed=self.seed,
            trainer=train_heads,
        )

    def optimisation(self, class_weights: tuple[float, float]) -> Optimisation:
        """Return how hospitals train, their classes weighted so."""
        return Optimisation(
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
            class_weights=class_weights,
            weight_decay=WEIGHT_DECAY if self.of_networks else 0.0,
        )

    @property
    def of_networks(self) -> bool:
        """Whether whole networks are trained, in place of heads."""
        return self.train == "network"

    def check_backbone(self, sha256: str) -> None:
        """Refuse another backbone than the run's.

        Raises:
            Disagreement: naming both.
        """
        if sha256 != self.backbone:
            raise Disagreement(_differs("backbone digest", self.backbone[:16], sha256[:16]))


def _differs(what: str, theirs: object, ours: object) -> str:
    return (
        f"the {what} differs: {_short(theirs)} at the coordinator, {_short(ours)} at the hospital; "
        "use the same on both sides"
    )


def _short(value: object) -> str:
    return ascii(value)[:80]

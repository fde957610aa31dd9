"""The fields of evaluation.json that say how a federation went, and against what it is held."""

from __future__ import annotations

from typing import (
    Annotated,
    Any,
    NotRequired,  # pydantic reads typing's from 3.12 on
)

from pydantic import Field
from typing_extensions import TypedDict

from fedmed.report.machines_schema import BetweenMachines
from fedmed.report.numbers import Number, Positive, Whole


class Near(TypedDict):
    """What a model scores beside the exact optimum, and how far its weights are from it."""

    loss: Number
    auc: Number
    balanced_accuracy: Number
    distance: Number


class Reached(TypedDict):
    rounds: Positive
    bytes: Whole


class Within(TypedDict):
    """When the federation came within 1 % of the optimum; null where it never did."""

    loss: Reached | None
    auc: Reached | None


class Contribution(TypedDict):
    """Shapley values: how a metric on validation divides among the hospitals."""

    method: str
    metric: str
    exact: bool
    federations: Positive
    nobody: Number
    everybody: Number
    hospitals: dict[str, Number]


class Yardstick(TypedDict):
    """The exact optimum, and how near the central model, each round and each hospital come."""

    method: str
    l2: Number
    optimum: Near
    central: Near
    rounds: Annotated[list[Near], Field(min_length=1)]
    alone: dict[str, Near]
    within: Within
    contribution: Contribution | None


class AloneAndFederated(TypedDict):
    alone: Number
    federated: Number
    personal: NotRequired[Number]  # where heads were made the hospitals' own


class Gain(TypedDict):
    """Accuracy on validation patients, mixed as a hospital's own are, and both classes alike."""

    own_mix: AloneAndFederated
    everybody: AloneAndFederated


class Poisoned(TypedDict):
    kind: str
    hospital: str


class Federation(BetweenMachines):
    participation: NotRequired[Number]
    drop_out: NotRequired[Number]
    poison: NotRequired[Poisoned | None]
    forgotten: NotRequired[list[str]]  # hospitals taken out since, each as it was called then


class FederatedBy(TypedDict):
    """`words` completes: the federated model is ..."""

    name: str
    words: str
    settings: dict[str, Any]
    rounds: Whole
    one_round: bool


class Personalised(TypedDict):
    """How the federated head became each hospital's own; `words`: a hospital's model is ..."""

    kind: str
    words: str
    epochs: Whole

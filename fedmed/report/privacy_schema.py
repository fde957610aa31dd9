"""The fields of the report's `privacy`: what is promised, what it costs, what attacks got out."""

from __future__ import annotations

from typing import NotRequired  # pydantic reads typing's from 3.12 on

from typing_extensions import TypedDict

from fedmed.report.numbers import Interval, Number, Whole


class WholeHospital(TypedDict):
    """What the promise to patients is worth to the smallest hospital."""

    name: str
    patients: Whole
    epsilon: Number
    void: bool


class Differential(TypedDict):
    """Differential privacy: what is promised, to whom, and what is not."""

    epsilon: Number
    delta: Number
    mu: Number
    unit: str
    neighbouring: str
    mechanism: str
    trust: str
    clip: Number
    noise_multiplier: Number
    steps: Whole
    composition: str
    accounting: str
    hospital: WholeHospital
    covered: list[str]
    not_covered: list[str]
    void: list[str]


class SecureAggregation(TypedDict):
    hides: str
    method: str
    assumes: str
    not_covered: list[str]


class Cost(TypedDict):
    """A metric of the private model and of one trained without privacy; private minus that."""

    private: Interval
    unprotected: Interval
    difference: Interval


class Costs(TypedDict):
    auc: Cost
    balanced_accuracy: Cost


class Price(TypedDict):
    validation: Costs
    test: Costs


class Canaries(TypedDict):
    """An audit with planted patients: a lower bound of epsilon, and the highest it could give."""

    canaries: Whole
    guesses: Whole
    right: Whole
    claimed: Number
    at_least: Number
    ceiling: Number
    confidence: Number


class Strength(TypedDict):
    """How well an attack tells members; true positives at 1 % false ones."""

    auc: Interval
    true_positives: Interval


class Attacked(TypedDict):
    members: Whole
    others: Whole
    loss: Strength
    lira: NotRequired[Strength]  # where the attacker can train models of his own
    control: NotRequired[Strength]  # the loss attack about patients whom the model never saw


class Membership(TypedDict):
    unit: str
    design: NotRequired[str]  # what is attacked; where it is not said, the models themselves
    shadow_heads: Whole
    models: dict[str, Attacked]


class Audit(TypedDict):
    canaries: NotRequired[Canaries]
    membership: NotRequired[Membership]


class Privacy(TypedDict):
    differential: NotRequired[Differential]
    secure_aggregation: NotRequired[SecureAggregation]
    price: NotRequired[Price]
    audit: NotRequired[Audit]

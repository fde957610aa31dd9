"""evaluation.json of a federation between machines that have no X-rays but the hospitals' own.

There is one model, the federated one, and nothing to hold it against: what pooling all X-rays, or
each hospital alone, would have given nobody knows. It is scored where patients are: each hospital
counts right and wrong answers on patients that it held out, and tells four numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NotRequired, cast  # pydantic reads typing's from 3.12 on

from typing_extensions import TypedDict

from fedmed.evaluation.counts import metrics_of_counts
from fedmed.evaluation.intervals import percent
from fedmed.evaluation.metrics import METRICS
from fedmed.report.check import check, refuse, require
from fedmed.report.federated_schema import FederatedBy, Federation
from fedmed.report.numbers import PAIR, Interval, Whole
from fedmed.report.phrases import number_of_hospitals
from fedmed.report.schema import Communication, PerClass, Recipe, Threshold, Training
from fedmed.task import model_title

SCHEMA_VERSION = 1
ALONE = (
    "There is no other model to hold it against: what all X-rays in one place would have given, "
    "and each hospital alone, nobody can know without them."
)
HELD_OUT = (
    "patients that hospitals held out, scored at each of them, which told four counts; intervals "
    "are over X-rays, for no patient is known here"
)


class Counted(TypedDict):
    """METRICS without AUC; what no X-ray tells, for its class was not there, is left out."""

    accuracy: Interval
    balanced_accuracy: NotRequired[Interval]
    precision: NotRequired[Interval]
    recall: NotRequired[Interval]
    specificity: NotRequired[Interval]
    f1: NotRequired[Interval]
    confusion_matrix: Annotated[list[Annotated[list[Whole], PAIR]], PAIR]
    threshold: Threshold
    n: Whole


class HeldOut(TypedDict):
    n: Whole
    description: str
    models: dict[str, Counted]
    hospitals: dict[str, Counted]  # the federated model at each


class Sent(TypedDict):
    """A round's bytes."""

    round: Whole
    bytes_up: dict[str, Whole]
    bytes_down: dict[str, Whole]


class Member(TypedDict):
    """What a hospital told of itself when it joined."""

    name: str
    images: PerClass
    patients: Whole


class Members(TypedDict):
    scheme: str
    hospitals: list[Member]


class TrainedOn(TypedDict):
    """What is known of the X-rays."""

    simulated: bool
    images: PerClass
    patients: Whole


class MachinesReport(TypedDict):
    schema_version: Whole
    protocols: dict[str, HeldOut]  # `validation`, or none where no hospital scored the model
    rounds: list[Sent]
    communication: Communication
    partition: Members
    data: TrainedOn
    algorithm: FederatedBy
    federation: Federation
    recipe: Recipe
    training: Training
    environment: dict[str, Any]


def validate(report: Any) -> MachinesReport:
    """Return `report` if it holds every field that is read of it.

    Raises:
        UserError: naming the first field that is missing or of the wrong kind.
    """
    check(report, MachinesReport)
    checked = cast(MachinesReport, report)
    if checked["schema_version"] != SCHEMA_VERSION:
        refuse("schema_version", f"must be {SCHEMA_VERSION}", checked["schema_version"])
    for name, protocol in checked["protocols"].items():
        if name != "validation":
            refuse("protocols", "may hold validation and no other", name)
        require(protocol["models"], ["federated"], f"protocols.{name}.models")
    sent = checked["communication"]["sent"]
    require(checked["communication"]["formats"], [sent, "full_fp32"], "communication.formats")
    require(checked["federation"], ["engine"], "federation")
    if not checked["partition"]["hospitals"]:
        refuse("partition.hospitals", "must name a hospital", [])
    return checked


def held_out(evaluation: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """The report's `protocols`, of each hospital's TN, FP, FN, TP."""
    scored = {name: list(counts) for name, counts in evaluation.items() if sum(counts)}
    if not scored:
        return {}
    together = metrics_of_counts(list(scored.values()))
    return {
        "validation": {
            "n": together["n"],
            "description": HELD_OUT,
            "models": {"federated": together},
            "hospitals": {name: metrics_of_counts([counts]) for name, counts in scored.items()},
        }
    }


def scored_at(protocol: HeldOut) -> dict[str, Mapping[str, Any]]:
    """The federated model's scores by where: at all hospitals together, and at each."""
    at_each = {model_title(name): scores for name, scores in protocol["hospitals"].items()}
    return {"All hospitals": protocol["models"]["federated"], **at_each}


def told(report: MachinesReport) -> str:
    """What came of it, in a sentence or two."""
    members = len(report["partition"]["hospitals"])
    protocol = report["protocols"].get("validation")
    if protocol is None:
        return (
            f"{number_of_hospitals(members)} trained one model together; none scored it, so that "
            "nothing is known of how well it does."
        )
    scores: Mapping[str, Any] = protocol["models"]["federated"]
    figures = ", ".join(
        f"{METRICS[name].title} {percent(scores[name])}"
        for name in ("recall", "specificity", "balanced_accuracy")
        if name in scores
    )
    at = number_of_hospitals(len(protocol["hospitals"]))
    return (
        f"On {protocol['n']:,} X-rays of patients that {at} held out, the model of "
        f"{number_of_hospitals(members)} has {figures}."
    )

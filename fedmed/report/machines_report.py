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
from fedmed.report.numbers import PAIR, Interval, Number, Whole
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
COUNTED_WITH_NOISE = (
    "patients that hospitals held out, scored at each of them, each patient once, which told four "
    "counts with noise on each; intervals are over patients and span what noise may have hidden"
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


class CountNoise(TypedDict):
    """Of a private run: what keeps the counts of patients held out private, and how far."""

    words: str
    standard_deviation: Number  # of the noise on each count, before it was rounded
    epsilon: Number
    delta: Number


class HeldOut(TypedDict):
    n: Whole  # X-rays; or, with noise, patients, not quite
    description: str
    models: dict[str, Counted]
    hospitals: dict[str, Counted]  # the federated model at each
    noise: NotRequired[CountNoise]


class Sent(TypedDict):
    """A round's bytes."""

    round: Whole
    bytes_up: dict[str, Whole]
    bytes_down: dict[str, Whole]


class Member(TypedDict):
    """What a hospital told of itself when it joined; of a private run no counts of X-rays."""

    name: str
    images: NotRequired[PerClass]
    patients: Whole


class Members(TypedDict):
    scheme: str
    hospitals: list[Member]


class TrainedOn(TypedDict):
    """What is known of the X-rays."""

    simulated: bool
    images: NotRequired[PerClass]
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


def count_noise(epsilon: float, delta: float, deviation: float) -> CountNoise:
    """Return what is said of counts of patients that are (epsilon, delta)-private by that noise."""
    promise = f"({epsilon:g}, {delta:g})"
    return {
        "words": (
            "every hospital added Gaussian noise to its four counts, of standard deviation "
            f"{deviation:.3g}, and rounded them: they are {promise}-differentially private for "
            "each patient held out, who is in one of them. These patients are not those that were "
            "trained on, so that nothing adds up: either kind has the run's epsilon once"
        ),
        "standard_deviation": deviation,
        "epsilon": epsilon,
        "delta": delta,
    }


def held_out(
    evaluation: Mapping[str, Sequence[int]], noise: CountNoise | None = None
) -> dict[str, Any]:
    """The report's `protocols`, of each hospital's TN, FP, FN, TP; `noise` is in each of them."""
    deviation = noise["standard_deviation"] if noise else 0.0
    # Noise may leave nothing of one hospital's counts, which count with all hospitals' even so.
    told = [list(counts) for counts in evaluation.values() if noise or sum(counts)]
    scored = {name: list(c) for name, c in evaluation.items() if any(count > 0 for count in c)}
    if not scored or not any(sum(each) > 0 for each in zip(*told, strict=True)):
        return {}
    together = metrics_of_counts(told, deviation)
    return {
        "validation": {
            "n": together["n"],
            "description": COUNTED_WITH_NOISE if noise else HELD_OUT,
            "models": {"federated": together},
            "hospitals": {
                name: metrics_of_counts([counts], deviation) for name, counts in scored.items()
            },
        }
        | ({"noise": noise} if noise else {})
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
            f"{number_of_hospitals(members)} trained one model together; no counts that tell "
            "anything of it came, so that nothing is known of how well it does."
        )
    scores: Mapping[str, Any] = protocol["models"]["federated"]
    figures = ", ".join(
        f"{METRICS[name].title} {percent(scores[name])}"
        for name in ("recall", "specificity", "balanced_accuracy")
        if name in scores
    )
    at = number_of_hospitals(len(protocol["hospitals"]))
    of = f"{protocol['n']:,} X-rays of patients that {at} held out"
    if "noise" in protocol:
        of = f"some {protocol['n']:,} patients that {at} held out and counted with noise"
    return f"On {of}, the model of {number_of_hospitals(members)} has {figures}."

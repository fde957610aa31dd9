"""The fields of evaluation.json and config.json: one definition for mypy and for every reader.

`check` in check.py holds a stranger's file to these. Fields are added, never renamed; a file made
before a field was added lacks it, so a new one is NotRequired. A file may hold more than is named.
"""

from __future__ import annotations

from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,  # pydantic reads typing's from 3.12 on
    TypeVar,
)

from pydantic import AfterValidator
from typing_extensions import TypedDict

from fedmed.report.federated_schema import (
    FederatedBy,
    Federation,
    Gain,
    Personalised,
    Yardstick,
)
from fedmed.report.numbers import PAIR, Interval, Number, Positive, Temperature, Whole
from fedmed.report.privacy_schema import Privacy
from fedmed.report.study_schema import Study, whole_or_later

ProtocolName = Literal["validation", "shifted", "test"]
PROTOCOLS: tuple[Literal["validation"], Literal["test"]] = ("validation", "test")  # of every report
CURVES: tuple[Literal["roc"], Literal["calibration"]] = ("roc", "calibration")
FORMATS = ("full_fp32", "fp32", "fp16", "int8")

Curve = TypeVar("Curve", bound="Roc | Calibration")


def _of_one_length(curve: Curve) -> Curve:
    if len({len(numbers) for numbers in curve.values()}) > 1:  # type: ignore[arg-type]
        raise ValueError("must hold lists of one length")
    return curve


class Threshold(TypedDict):
    value: Number
    rule: str


class Roc(TypedDict):
    fpr: list[Number]
    tpr: list[Number]


class Calibration(TypedDict):
    """Of every bin that is not empty: the mean prediction, the share that was ill, the images."""

    predicted: list[Number]
    observed: list[Number]
    count: list[Positive]


class PairScores(TypedDict):
    balanced_accuracy: Number
    auc: Number


class Scores(TypedDict):
    """METRICS of one model; of those that are shown one by one, also the curves, or the pairs."""

    accuracy: Interval
    balanced_accuracy: Interval
    precision: Interval
    recall: Interval
    specificity: Interval
    f1: Interval
    auc: Interval
    confusion_matrix: Annotated[list[Annotated[list[Whole], PAIR]], PAIR]
    threshold: Threshold
    n: Whole
    roc: NotRequired[Annotated[Roc, AfterValidator(_of_one_length)]]
    calibration: NotRequired[Annotated[Calibration, AfterValidator(_of_one_length)]]
    calibrated: NotRequired[Annotated[Calibration, AfterValidator(_of_one_length)]]
    pairs: NotRequired[dict[str, PairScores]]


class Protocol(TypedDict):
    n: Whole
    patients: Whole
    description: str
    models: dict[str, Scores]


class Shifted(Protocol):
    """Validation with what tells the classes apart by framing swapped: means over some pairs.

    A pair is the shift of NORMAL and that of PNEUMONIA, null where there is none.
    """

    pairs: dict[str, Annotated[list[str | None], PAIR]]


class Protocols(TypedDict):
    validation: Protocol
    shifted: NotRequired[Shifted]
    test: Protocol


class Comparison(TypedDict):
    """Federated minus central, on the same images."""

    models: list[str]
    accuracy_difference: Interval
    balanced_accuracy_difference: Interval
    f1_difference: Interval
    auc_difference: Interval
    mcnemar_p: Number
    only_federated_right: Whole
    only_central_right: Whole
    words: str


class SentScores(TypedDict):
    validation: Scores
    test: Scores


class Comparisons(TypedDict):
    validation: Comparison
    test: Comparison


class LocalOnly(TypedDict):
    """Each hospital trained without the others."""

    validation: dict[str, Scores]
    shifted: NotRequired[dict[str, Scores]]
    test: dict[str, Scores]


class Round(TypedDict):
    round: Whole
    validation: Scores
    bytes_up: dict[str, Whole]
    bytes_down: dict[str, Whole]


class Format(TypedDict):
    """What updates cost in one format; `metrics` where a run was made with it."""

    title: str
    measured: bool
    update_bytes: Positive
    round_bytes: Whole
    run_bytes: Whole
    metrics: NotRequired[SentScores]


class Communication(TypedDict):
    sent: str
    rounds: Whole
    hospitals: Whole
    formats: dict[str, Format]
    unfinished: NotRequired[dict[str, str]]  # why `formats` lacks one that was to be compared


class PerClass(TypedDict):
    NORMAL: Whole
    PNEUMONIA: Whole


class Counts(TypedDict):
    images: PerClass
    patients: Whole


class Hospital(TypedDict):
    name: str
    patients: PerClass
    images: PerClass


class Reliability(TypedDict):
    log_loss: Number
    brier: Number
    calibration_error: Number


class BeforeAndAfter(TypedDict):
    before: Reliability
    after: Reliability


class ModelCalibration(TypedDict):
    temperature: Temperature
    validation: BeforeAndAfter
    test: BeforeAndAfter


class TemperatureScaling(TypedDict):
    """Temperatures fitted on one protocol, and what they do to reliability on each."""

    method: str
    fitted_on: str
    models: dict[str, ModelCalibration]


class Partition(TypedDict):
    scheme: str
    alpha: Number | None
    seed: Whole
    hospitals: list[Hospital]


class Splits(TypedDict):
    train: Counts
    test: Counts


class Repeats(TypedDict):
    train: Whole
    test: Whole
    across: Whole


class Data(TypedDict):
    source: str
    hub_id: NotRequired[str | None]
    title: str
    description: NotRequired[str]  # whose X-rays they are, where that is known
    licence: str
    citation: str
    simulated: bool
    patients_known: bool
    splits: Splits
    repeats: Repeats
    patient_overlap: Whole
    unreadable: list[Any]
    public_cohort: Counts | None
    held_out: Counts
    training: Counts


class Recipe(TypedDict):
    """And every option of the run."""

    name: str
    description: str
    views: Whole


class Training(TypedDict):
    """How a run trained: heads on frozen features where it is not said, or whole networks."""

    mode: str
    size: NotRequired[Whole]
    batch_norm: NotRequired[str]


class Report(TypedDict):
    schema_version: Whole
    protocols: Protocols
    comparison: Comparisons
    rounds: list[Round]
    communication: Communication
    partition: Partition
    local_only: LocalOnly
    data: Data
    recipe: Recipe
    timing: dict[str, Number]
    environment: dict[str, Any]
    # Where a run has them.
    training: NotRequired[Training]
    own_after_last_round: NotRequired[LocalOnly]  # each hospital's, which the round goes on from
    calibration: NotRequired[TemperatureScaling]
    algorithm: NotRequired[FederatedBy]
    federation: NotRequired[Federation]
    yardstick: NotRequired[Yardstick]
    gains: NotRequired[dict[str, Gain]]
    personalised: NotRequired[Personalised]
    privacy: NotRequired[Privacy]
    study: NotRequired[Annotated[Study, AfterValidator(whole_or_later)]]


class Backbone(TypedDict):
    id: str
    source: str
    sha256: str


class Model(TypedDict):
    file: str
    files: NotRequired[list[str]]  # of a whole network, all of them; the first is `file`
    title: str
    threshold: Threshold
    training: PerClass | None
    temperature: NotRequired[Temperature]  # by which the app divides log-odds


class Networks(TypedDict):
    """How whole networks are stored, and the side of their input."""

    size: Whole
    format: str
    base: str  # the model that others are told by their difference to


class Config(TypedDict):
    """What is read of config.json beside the digests, which manifest.py checks."""

    classes: NotRequired[list[str]]
    preprocessing: dict[str, Any]
    backbone: Backbone
    models: dict[str, Model]
    networks: NotRequired[Networks]  # where every model is a whole network
    engine: NotRequired[str]  # what the features passed on
    versions: NotRequired[dict[str, str]]


def protocols(report: Report) -> list[ProtocolName]:
    """The protocols that a report holds, in the order they are told."""
    names: tuple[ProtocolName, ...] = ("validation", "shifted", "test")
    return [name for name in names if name in report["protocols"]]

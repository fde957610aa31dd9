"""The options of train.py: one dataclass is both the configuration and the command line."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from fedmed import cli, files
from fedmed.data import is_hub_id
from fedmed.data.classes import ClassNames
from fedmed.data.partition import SCHEMES
from fedmed.data.patient_option import PatientOption, is_table
from fedmed.errors import UserError
from fedmed.experiment.choices import ALGORITHMS, BACKBONES, PERSONAL, RECIPES
from fedmed.experiment.combinations import faults
from fedmed.federated.poisons import factor_of
from fedmed.task import DATASET_ID


def _option(default: Any, help: str, **more: Any) -> Any:
    """An option; `network` is its default with --train network, where that is another."""
    return field(default=default, metadata={"help": help, **more})


def _whole(low: int, high: int) -> Callable[[str], int]:
    return _number(int, low, high, f"a whole number from {low} to {high}")


def _number(kind: Callable[[str], Any], low: float, high: float, what: str) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
        return value

    return parse


def _repository(text: str) -> str:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form USER/REPO")
    return text


def _checked(check: Callable[[str], object], flag: str) -> Callable[[str], str]:
    """A text that `check` accepts, kept as it is; its refusal without the flag it begins with."""

    def parse(text: str) -> str:
        try:
            check(text)
        except UserError as error:
            raise argparse.ArgumentTypeError(str(error).removeprefix(flag).lstrip(": ")) from error
        return text

    return parse


# In the report a hospital takes some 60 bytes for each round, and 75 times that for its scores.
_MOST_REPORTED = files.MAX_MEBIBYTES * 2**20 // 60
_POSITIVE = _number(float, 1e-12, 1e6, "a number above 0, at most a million")
_COUNT = _whole(1, 10_000)


# What --demo sets where nothing else is asked for: small steps on few patients. Chosen on the
# held-out simulated patients of six seeds: federated, the mean balanced accuracy is 79 % as
# centrally, alone 54 to 72 %; in five of the six, federated is above every hospital alone.
DEMO = {
    "views": 1,
    "batch_size": 16,
    "learning_rate": 3e-3,
    "epochs": 30,
    "local_epochs": 6,
    "lab": True,  # these patients are nobody
}
# After fewer rounds the federated network calls all X-rays the same.
DEMO_OF_NETWORKS = {
    "hospitals": 3,
    "rounds": 5,
    "local_epochs": 2,
    "batch_size": 16,
    "size": 64,
}
OF_NETWORKS = ("batch_norm", "size", "workers")  # options that mean nothing to a head


@dataclass(frozen=True)
class Settings:
    data: str = _option(
        DATASET_ID,
        "data set id on the Hugging Face Hub; a folder with train/ and test/, each with NORMAL/ "
        "and PNEUMONIA/, or one laid out otherwise (docs/own-data.md); or 'simulated'",
    )
    patients: str | None = _option(
        None,
        "how a file's name tells its patient: a regular expression whose groups are the patient, "
        "as '(p\\d+)_'; or a CSV with the columns image,patient",
        metavar="REGEX|CSV",
        type=_checked(PatientOption, "--patients"),
    )
    classes: str | None = _option(
        None,
        "which folders or labels are which class: normal=NORMAL,bacterial=PNEUMONIA; "
        "'lateral=' leaves those out",
        metavar="NAME=CLASS,...",
        type=_checked(ClassNames, "--classes"),
    )
    allow_overlap: bool = _option(
        False, "go on where a picture is under both labels, or in train and test"
    )
    backbone: str = _option(
        "imagenet",
        "'imagenet' or 'bundled', which ship; 'torchvision', its own ImageNet weights (a network "
        "once); or a file or folder with a backbone",
    )
    train: str = _option(
        "head",
        "what hospitals train: the last layer on frozen features, or the whole network on images",
        choices=("head", "network"),
    )
    output: Path = _option(Path("snapshot"), "folder for the snapshot", type=Path)
    push_to: str | None = _option(
        None, "publish to this Hub model repository", metavar="USER/REPO", type=_repository
    )
    private: bool = _option(False, "create that repository private")
    hospitals: int = _option(5, "number of hospitals", type=_COUNT)
    rounds: int = _option(20, "federated rounds", type=_COUNT, network=5)
    local_epochs: int = _option(3, "epochs at each hospital per round", type=_COUNT)
    epochs: int = _option(10, "epochs of the centralized model", type=_COUNT, network=15)
    batch_size: int = _option(64, "images per step", type=_COUNT, network=32)
    learning_rate: float = _option(1e-3, "Adam's learning rate", type=_POSITIVE, network=3e-4)
    views: int = _option(4, "augmented views cached per image", type=_COUNT)
    partition: str = _option(
        SCHEMES[0], "how patients are dealt to hospitals", choices=tuple(SCHEMES)
    )
    alpha: float = _option(0.5, "Dirichlet concentration; small is very non-IID", type=_POSITIVE)
    algorithm: str = _option(
        "fedavg",
        f"how hospitals train together: {', '.join(ALGORITHMS)}",
        choices=ALGORITHMS,
        metavar="NAME",
    )
    participation: float = _option(
        1.0,
        "share of the hospitals asked in each round, drawn by the seed",
        type=_number(float, 1e-6, 1, "a share above 0, at most 1"),
    )
    drop_out: float = _option(
        0.0,
        "how likely a hospital that is asked does not answer",
        type=_number(float, 0, 0.999999, "a probability below 1"),
    )
    poison: str | None = _option(
        None,
        "spoil one hospital, drawn by the seed: label-flip (it learns each class for the other), "
        "sign-flip, scale:100 (it sends its update negated, or times a number)",
        metavar="HOW",
        type=_checked(factor_of, "--poison"),
    )
    quantize: str = _option(
        "none", "format of the updates sent; none is FP32", choices=("none", "fp16", "int8")
    )
    epsilon: float | None = _option(
        None,
        "differential privacy of every patient: the federated model and all messages together "
        "tell no more than this epsilon; 1 is strong, 8 is weak",
        metavar="X",
        type=_number(float, 0.01, 100, "a number from 0.01 to 100"),
    )
    delta: float = _option(
        1e-5,
        "with --epsilon, how likely its bound may fail",
        type=_number(float, 1e-12, 0.1, "a number from 1e-12 to 0.1"),
    )
    secure_aggregation: bool = _option(
        False, "hide every hospital's update from the server behind masks that cancel in the sum"
    )
    personalise: str | None = _option(
        None,
        "make the federated head each hospital's own: finetune trains it on there, ditto holds it "
        "near the federated one",
        choices=PERSONAL,
    )
    keep_sums: bool = _option(
        False,
        "with ridge, lda or class-means, keep each hospital's sums in the snapshot, so that one "
        "can be forgotten later; they tell its class means, so that it cannot be published",
    )
    audit: bool = _option(
        False, "attack the models: who was in the training set; and whether --epsilon holds"
    )
    study: bool = _option(
        False,
        "compare algorithms, splits, epsilons, formats and poison on these X-rays, five seeds "
        "each, which takes minutes more; of networks, formats, in two thirds more time",
    )
    recipe: str = _option(
        "auto",
        "augmentation and class weights; auto is 'robust'",
        choices=("auto", *RECIPES),
    )
    batch_norm: str = _option(
        "average",
        "batch normalisation of networks: averaged as all else; local, which never travels "
        "(FedBN); or frozen",
        choices=("average", "local", "frozen"),
    )
    size: int = _option(128, "side of a network's input in pixels", type=_whole(64, 224))
    workers: int | None = _option(
        None,
        "processes that train networks, or a study's heads, side by side; one for each core "
        "unless given",
        metavar="X",
        type=_whole(1, 256),
    )
    seed: int = _option(42, "seed of every random choice", type=_whole(0, 2**31 - 1))
    examples: int = _option(
        12, "held-out X-rays put into the snapshot to click; 0 for none", type=_whole(0, 200)
    )
    lab: bool = _option(
        False,
        "put the X-rays' features into the snapshot, to federate on in the app's Lab tab; features "
        "are data: whoever gets the snapshot gets them",
    )
    device: str = _option("auto", "where the backbone runs: auto, cpu, cuda")
    deterministic: bool = _option(
        False, "pass everything in FP32, also where the processor has the faster bf16"
    )
    resume: bool = _option(False, "go on with an interrupted run of the same options")
    demo: bool = _option(False, "a full run on simulated patients, offline, in minutes")

    @property
    def format(self) -> str:
        """The format of the updates sent."""
        if self.secure_aggregation:
            return "masked"
        return "fp32" if self.quantize == "none" else self.quantize

    @property
    def partial(self) -> Path:
        """Where an unfinished run keeps its state."""
        return self.output.with_name(self.output.name + ".partial")

    def of_the_run(self) -> dict[str, Any]:
        """The options that decide the result, as plain JSON: of a path the last name only."""
        ways = {"output", "push_to", "private", "resume", "demo", "device", "workers", "lab"}
        if self.train == "head":
            ways |= {"train", *OF_NETWORKS}
        result = {name: value for name, value in asdict(self).items() if name not in ways}
        if self.data != "simulated" and not is_hub_id(self.data):
            result["data"] = Path(self.data).resolve().name
        if self.patients and is_table(self.patients):
            result["patients"] = Path(self.patients).name
        if self.participation == 1:
            del result["participation"]
        options = ("patients", "classes", "allow_overlap", "deterministic", "drop_out", "poison")
        for name in (
            *options,
            "epsilon",
            "secure_aggregation",
            "audit",
            "study",
            "keep_sums",
            "personalise",
        ):
            if not result[name]:
                del result[name]
        if self.epsilon is None:
            del result["delta"]
        if self.backbone not in BACKBONES:
            result["backbone"] = Path(self.backbone).resolve().name
        return result


def parse(arguments: Sequence[str] | None = None) -> Settings:
    """Read the command line; a bad option is named with what is allowed, and exits with 2."""
    parser = argparse.ArgumentParser(
        prog="train.py",
        description="Train a pneumonia classifier centrally and federated, measure both, and "
        "write a snapshot that the app opens.",
        epilog=f"Defaults in brackets. A full run offline: {cli.command('train.py', '--demo')}",
        allow_abbrev=False,
    )
    for option in fields(Settings):
        more = dict(option.metadata)
        help_text = more.pop("help").replace("%", "%%")
        of_networks = more.pop("network", None)
        if isinstance(option.default, bool):
            more["action"] = "store_true"
        elif option.default is not None:
            more.setdefault("metavar", None if "choices" in more else "X")
            other = "" if of_networks is None else f"; {of_networks} of networks"
            help_text += f" [{option.default}{other}]"
        more = {key: value for key, value in more.items() if value is not None}
        flag = "--" + option.name.replace("_", "-")
        parser.add_argument(flag, default=argparse.SUPPRESS, help=help_text, **more)
    given = vars(parser.parse_args(arguments))
    if given.get("demo"):
        for name, value in (("data", "simulated"), ("backbone", "imagenet")):
            if given.setdefault(name, value) != value:
                parser.error(f"--demo means --{name} {value}; leave out --demo or --{name}")
        given = (DEMO if given.get("train") != "network" else DEMO_OF_NETWORKS) | given
    of_study = ("workers",) if given.get("study") else ()
    if given.get("train") == "network":
        given = _of_networks(given)
        if "views" in given:
            parser.error("--views needs --train head: a network sees each image anew every time")
        if given.get("lab"):
            parser.error("--lab needs --train head: it keeps features of a frozen backbone")
    elif idle := [name for name in OF_NETWORKS if name in given and name not in of_study]:
        parser.error(f"--{idle[0].replace('_', '-')} needs --train network")
    settings = Settings(**given)
    if settings.private and not settings.push_to:
        parser.error("--private needs --push-to USER/REPO")
    if settings.keep_sums and settings.push_to:
        parser.error("--keep-sums keeps what must not be published: leave it or --push-to out")
    if settings.hospitals * (settings.rounds + 75) > _MOST_REPORTED:
        parser.error(
            f"the report of --hospitals {settings.hospitals} and --rounds {settings.rounds} would "
            f"be larger than the {files.MAX_MEBIBYTES} MiB that are read of one; lower either"
        )
    if "alpha" in given and settings.partition != "dirichlet":
        parser.error("--alpha needs --partition dirichlet")
    if "delta" in given and settings.epsilon is None:
        parser.error("--delta needs --epsilon")
    for fault in faults(settings):
        parser.error(fault)
    return settings


def _of_networks(given: dict[str, Any]) -> dict[str, Any]:
    """The options of a run that trains networks, with what it has by default.

    Centrally as many epochs as at the hospitals, unless they are given.
    """
    own = {
        option.name: option.metadata["network"]
        for option in fields(Settings)
        if "network" in option.metadata
    }
    rounds = given.get("rounds", own["rounds"])
    own["epochs"] = rounds * given.get("local_epochs", Settings.local_epochs)
    return own | given

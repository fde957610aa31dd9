"""Options that make no sense together, and why; told before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from fedmed.experiment.choices import (
    CLOSED_FORMS,
    MOST_KEPT,
    NEED_EVERYONE,
    NEED_FEATURES,
    NEED_THREE,
    PRIVATE,
    SECURE_HOSPITALS,
)


class Protectable(Protocol):
    """The options that every run has, wherever it runs; an epsilon of None or 0 is none."""

    @property
    def algorithm(self) -> str: ...
    @property
    def train(self) -> str: ...
    @property
    def epsilon(self) -> float | None: ...
    @property
    def secure_aggregation(self) -> bool: ...


class Options(Protectable, Protocol):
    """The options that are looked at."""

    @property
    def participation(self) -> float: ...
    @property
    def drop_out(self) -> float: ...
    @property
    def poison(self) -> str | None: ...
    @property
    def quantize(self) -> str: ...
    @property
    def hospitals(self) -> int: ...
    @property
    def keep_sums(self) -> bool: ...
    @property
    def personalise(self) -> str | None: ...


def faults(settings: Options) -> Iterator[str]:
    """Yield a sentence for each."""
    name = settings.algorithm
    if name in NEED_EVERYONE:
        if settings.participation < 1 or settings.drop_out > 0:
            yield (
                f"--algorithm {name} needs every hospital in every round: leave out "
                "--participation and --drop-out, or choose one that averages, as fedavg"
            )
        if settings.quantize != "none":
            yield (
                f"--algorithm {name} solves for its head, which rounded sums would spoil: it sends "
                "FP64, so leave out --quantize"
            )
    if fault := without_features(settings.train, name):
        yield fault
    if name in NEED_THREE and settings.hospitals < 3:
        yield (
            f"--algorithm {name} tells a wrong update by the others: it needs --hospitals 3 at "
            "least"
        )
    elif name in NEED_THREE and settings.participation * settings.hospitals <= 2:
        yield (
            f"--algorithm {name} tells a wrong update by the others, and --participation "
            f"{settings.participation:g} asks fewer than 3 hospitals a round: ask more"
        )
    if settings.poison and settings.hospitals < 2:
        yield "--poison spoils one of several hospitals: it needs --hospitals 2 at least"
    if settings.keep_sums:
        yield from unkeepable(settings)
    rounded = settings.quantize != "none"
    yield from unprotectable(
        settings, settings.hospitals, f"--quantize {settings.quantize}" if rounded else None
    )
    yield from unprotectable_here(settings)


def without_features(train: str, algorithm: str) -> str:
    """Return why an algorithm cannot train networks, or nothing where it can."""
    if train != "network" or algorithm not in NEED_FEATURES:
        return ""
    return (
        f"--algorithm {algorithm} needs the features of a frozen backbone, and --train network has "
        "none: choose one that averages, as fedavg, or --train head"
    )


def unkeepable(settings: Options) -> Iterator[str]:
    """Yield why no sums can be kept."""
    if settings.algorithm not in CLOSED_FORMS:
        yield (
            f"--keep-sums works with --algorithm {', '.join(CLOSED_FORMS)}, whose hospitals send "
            f"sums, and not with {settings.algorithm}"
        )
    hiding = [
        flag
        for flag, asked in (
            ("--secure-aggregation", settings.secure_aggregation),
            ("--epsilon", settings.epsilon is not None),
            ("--poison", settings.poison is not None),
        )
        if asked
    ]
    if hiding:
        yield (
            f"--keep-sums keeps what each hospital sums up as it is, and {hiding[0]} is there so "
            "that it is not sent: leave out either"
        )
    if settings.hospitals > MOST_KEPT:
        yield f"--keep-sums works with --hospitals {MOST_KEPT} at most: so many fit into one file"


def unprotectable(settings: Protectable, hospitals: int, rounding: str | None) -> Iterator[str]:
    """Yield why a run of so many hospitals cannot be protected as its options ask.

    `rounding` is the option that rounds what is sent, as it was given.
    """
    if settings.epsilon:
        if settings.algorithm not in PRIVATE:
            yield (
                f"--epsilon works with --algorithm {', '.join(PRIVATE)}, and not with "
                f"{settings.algorithm}: choose one, or leave out --epsilon"
            )
        if settings.train != "head":
            yield (
                "--epsilon works with heads: noise on the millions of numbers of a network would "
                "leave nothing of it; leave out --epsilon or --train network"
            )
    if settings.secure_aggregation:
        low, high = SECURE_HOSPITALS
        if rounding:
            yield f"--secure-aggregation adds up exact numbers: leave out {rounding}"
        if not low <= hospitals <= high:
            yield (
                f"--secure-aggregation needs from {low} to {high} hospitals, not "
                f"{hospitals:,}: of two each would learn the other's update, and every "
                "two share a secret"
            )
        if settings.algorithm in NEED_THREE:
            yield (
                f"--algorithm {settings.algorithm} needs every hospital's update, which "
                "--secure-aggregation hides from the server; leave out either"
            )
        yield from _of_heads(settings, "--secure-aggregation")


def unprotectable_here(settings: Options) -> Iterator[str]:
    """Yield why a run cannot be protected beside what only a run in one process can be asked."""
    if settings.personalise:
        if settings.epsilon:
            yield (
                f"--personalise {settings.personalise} trains on a hospital's patients without "
                "noise, and the snapshot shows what comes of it: leave out that or --epsilon"
            )
        yield from _of_heads(settings, "--personalise")


def _of_heads(settings: Protectable, flag: str) -> Iterator[str]:
    if settings.train != "head":
        yield f"{flag} works with heads so far: leave it out, or --train network"

"""Options that make no sense together, and why; told before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from fedmed.experiment.choices import NEED_EVERYONE, NEED_FEATURES, NEED_THREE


class Options(Protocol):
    """The options that are looked at."""

    @property
    def algorithm(self) -> str: ...
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
    def train(self) -> str: ...


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
    if name in NEED_FEATURES and settings.train == "network":
        yield (
            f"--algorithm {name} needs the features of a frozen backbone, and --train network has "
            "none: choose one that averages, as fedavg, or --train head"
        )
    if name in NEED_THREE and settings.hospitals < 3:
        yield (
            f"--algorithm {name} tells a wrong update by the others: it needs --hospitals 3 at "
            "least"
        )
    if settings.poison and settings.hospitals < 2:
        yield "--poison spoils one of several hospitals: it needs --hospitals 2 at least"

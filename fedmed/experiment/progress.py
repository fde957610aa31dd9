"""Lines that say how far networks have come in their training, and how long it will take yet."""

from __future__ import annotations

import time
from collections.abc import Callable

from fedmed.progress import say
from fedmed.training.network_trainer import Said
from fedmed.training.workers import peak_bytes

SILENT_SECONDS = 20.0  # at most, while there is something to say
TELLING_SHARE = 0.01  # of all work, before what is left can be told


class Progress:
    """What workers say, summed up: a line for each training that ends, and one in between.

    `remaining` is how many images are still to be trained on, each counted once an epoch.
    """

    def __init__(
        self,
        remaining: int,
        epochs: dict[str, int],  # by what is trained: central, federated, alone
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total = max(remaining, 1)
        self._epochs = epochs
        self._done = 0
        self._clock = clock
        self._start = self._printed = clock()

    def __call__(self, said: Said) -> None:
        self._done += said.images
        now = self._clock()
        if not said.done and now - self._printed < SILENT_SECONDS:
            return
        self._printed = now
        share = min(self._done / self._total, 1.0)
        left = (now - self._start) * (1 - share) / share
        who = said.chain if said.chain == said.site else f"{said.chain}, {said.site}"
        speed = said.images / max(said.seconds, 1e-9)
        # The first batches are slow, as everything is loaded with them.
        yet = f", {duration(left)} left" if share >= TELLING_SHARE else ""
        say(
            f"{who.replace('_', ' ')}: epoch {said.epoch} of {self._epochs[said.chain]}, "
            f"{speed:.0f} images/s; {100 * share:.0f} % of all{yet}"
        )


class Memory:
    """The most memory that workers and the process beside them had, each at its own time.

    What they share, libraries above all, is counted once.
    """

    def __init__(self) -> None:
        self._own: dict[int, int] = {}
        self._shared = 0

    def __call__(self, said: Said) -> None:
        self._own[said.process] = max(said.peak.own, self._own.get(said.process, 0))
        self._shared = max(said.peak.shared, self._shared)

    def gib(self) -> float:
        """Return their sum in GiB."""
        return round((sum(self._own.values()) + self._shared + peak_bytes()) / 2**30, 2)


def duration(seconds: float) -> str:
    """`40 s`, `3 min`, `1 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"

"""What a command says while it works: a bar on a terminal; elsewhere a line now and then.

Under nohup or in a pipe nobody sees a bar, and a log that says nothing for minutes looks dead.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tqdm import tqdm

EVERY_SECONDS = 20.0  # between two lines of one step

T = TypeVar("T")

_STARTED = time.monotonic()
_spoken = time.monotonic()


def say(line: str) -> None:
    """Print a line with the time since the command began; a bar gives way to it."""
    global _spoken
    _spoken = time.monotonic()
    tqdm.write(f"{clock(time.monotonic() - _STARTED)}  {line}", file=sys.stdout)
    sys.stdout.flush()


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds, 0:07, or with hours, 1:02:03."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Progress:
    """How far a step of `total` images, or other units, is.

    On a terminal a bar. Elsewhere a line as it begins, one every EVERY_SECONDS, one at its end.
    """

    def __init__(self, title: str, total: int, unit: str = "image") -> None:
        self._title, self._total, self._done = title, total, 0
        self._said = self._started = time.monotonic()
        self._bar: tqdm | None = None
        if sys.stderr.isatty():
            self._bar = tqdm(total=total, desc=title, unit=unit)
        else:
            say(f"{title}: {total:,}")

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, count: int) -> None:
        """So many more are done."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
            return
        now = time.monotonic()
        ended = self._done >= self._total and now - self._started > 1
        if now - self._said > EVERY_SECONDS or (ended and count):
            self._said = now
            say(f"{self._title}: {self._done:,} of {self._total:,}")

    def over(self, things: Iterable[T]) -> Iterator[T]:
        """The things, each counted once it is had."""
        with self:
            for thing in things:
                self.update(1)
                yield thing


@contextmanager
def step(title: str) -> Iterator[None]:
    """Say that a step begins and, where nothing else was said meanwhile, that it still goes on."""
    say(title)
    over = threading.Event()

    def remind() -> None:
        while not over.wait(1.0):
            if time.monotonic() - _spoken > EVERY_SECONDS and not sys.stderr.isatty():
                say(f"{title}: still at it")

    thread = threading.Thread(target=remind, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()

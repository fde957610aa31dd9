"""A semaphore that serves whoever holds and awaits fewest places, so nobody starves the others."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class FairSemaphore:
    """Places for threads. Of those who wait, one who has fewest turns goes first.

    A turn is one that somebody has or waits for ahead of this one; among equals it is first come,
    first served.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._mine: Counter[str] = Counter()  # turns had and waited for
        self._waiting: list[tuple[int, int]] = []  # how many were ahead of it, and its number
        self._came = 0
        self._changed = threading.Condition()

    @contextmanager
    def turn(self, who: str) -> Iterator[None]:
        """Wait for a place, and hold it."""
        with self._changed:
            ticket = (self._mine[who], self._came)
            self._came += 1
            self._mine[who] += 1
            self._waiting.append(ticket)
            self._changed.wait_for(lambda: self._free and ticket == min(self._waiting))
            self._waiting.remove(ticket)
            self._free -= 1
            self._changed.notify_all()  # there may be another place
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._mine[who] -= 1
                if not self._mine[who]:
                    del self._mine[who]
                self._changed.notify_all()

"""A semaphore that serves clients in turn, so that nobody starves the others."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class FairSemaphore:
    """Limits how many threads work at once; the client with fewest turns goes first.

    A client's turns are those that it has and those that it waits for ahead of this one; among
    equals it is first come, first served.

    Args:
        slots: How many threads work at once.
    """

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._turns: Counter[str] = Counter()  # of each client, at work and waiting
        self._waiting: list[tuple[int, int]] = []  # the client's turns ahead of it, and its number
        self._arrivals = 0
        self._changed = threading.Condition()

    @contextmanager
    def turn(self, client: str) -> Iterator[None]:
        """Wait for a slot, and hold it."""
        with self._changed:
            ticket = (self._turns[client], self._arrivals)
            self._arrivals += 1
            self._turns[client] += 1
            self._waiting.append(ticket)
            self._changed.wait_for(lambda: self._free and ticket == min(self._waiting))
            self._waiting.remove(ticket)
            self._free -= 1
            self._changed.notify_all()  # there may be another slot
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._turns[client] -= 1
                if not self._turns[client]:
                    del self._turns[client]
                self._changed.notify_all()

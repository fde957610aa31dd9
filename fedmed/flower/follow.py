"""A process's log, followed: what it says is said again, and what it will say is waited for."""

from __future__ import annotations

import time
from collections.abc import Callable

from fedmed.errors import UserError
from fedmed.flower.processes import Processes
from fedmed.progress import say

POLL_SECONDS = 0.25


class Follow:
    """Repeats what a process says, as it says it, and waits for what should come."""

    def __init__(self, processes: Processes, name: str, prefix: str = "coordinator: ") -> None:
        self._processes = processes
        self._name = name
        self._prefix = prefix
        self._told = 0

    def until(self, text: str) -> None:
        """Wait until the process has said `text`.

        Raises:
            UserError: it ended before.
        """
        self.wait(lambda: text in self._processes.log(self._name))

    def wait(self, over: Callable[[], bool]) -> None:
        """Wait until `over`, and repeat meanwhile what is said.

        Raises:
            UserError: the process ended before.
        """
        while not over():
            self._repeat()
            if not self._processes.running(self._name) and not over():
                last = self._processes.log(self._name).strip()[-800:]
                raise UserError(f"the federation ended too early: {last}")
            time.sleep(POLL_SECONDS)
        self._repeat()

    def until_ended(self) -> None:
        """Wait until the process has ended."""
        self.wait(lambda: not self._processes.running(self._name))

    def _repeat(self) -> None:
        lines = self._processes.log(self._name).splitlines()
        for line in lines[self._told :]:
            clock, _, words = line.partition("  ")
            if clock.replace(":", "").isdigit():  # ours, and none of Flower's
                say(f"{self._prefix}{words}")
        self._told = len(lines)

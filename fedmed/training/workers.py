"""Processes of one core each, in which hospitals train side by side.

What a job makes does not depend on how many there are: each keeps to one thread.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing.synchronize import Event
from pathlib import Path
from types import TracebackType
from typing import Any

from fedmed.errors import UserError

LAST_WORDS_SECONDS = 5.0  # that are waited for what jobs said at their end

Tell = Callable[[Any], None]  # what a job says on its way


class Stopped(Exception):
    """The run ends; what a job was at is dropped."""


class Workers:
    """`count` processes, which end with the `with` block, or when the process that made them dies.

    A job is a function of a module, called with what it needs and a `Tell`; both are pickled.
    `told` gets what jobs say, in a thread of its own.
    """

    def __init__(self, count: int, told: Callable[[Any], None] = lambda said: None) -> None:
        # A forked process could hang in a library that had threads; so each starts afresh.
        context = multiprocessing.get_context("spawn")
        self._said = context.SimpleQueue()
        self._stop = context.Event()
        self._pool = ProcessPoolExecutor(
            count, context, initializer=_begin, initargs=(self._said, self._stop)
        )
        self._listener = threading.Thread(target=self._listen, args=(told,), daemon=True)
        self._listener.start()

    def submit(self, job: Callable[[Any, Tell], Any], given: Any) -> Future[Any]:
        """Run `job(given, tell)` as soon as a process is free."""
        return self._pool.submit(_run, job, given)

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self.stop()
        # In a thread, for a process that was killed as it spoke has left the queue locked.
        threading.Thread(target=self._said.put, args=(_END,), daemon=True).start()
        self._listener.join(LAST_WORDS_SECONDS)

    def stop(self) -> None:
        """End all jobs at their next word, and the processes."""
        self._stop.set()
        self._pool.shutdown(cancel_futures=True)

    def _listen(self, told: Callable[[Any], None]) -> None:
        """Hear all that jobs say, also where nobody can be told: they would wait to be heard."""
        while (said := self._said.get()) != _END:
            with suppress(OSError, ValueError):  # a terminal that is gone, a file that was closed
                told(said)


class Here:
    """Runs jobs in this very process, each when it is submitted, where one at a time will do."""

    def __init__(self, told: Callable[[Any], None] = lambda said: None) -> None:
        self._told = told

    def submit(self, job: Callable[[Any, Tell], Any], given: Any) -> Future[Any]:
        """Run `job(given, tell)` now; what it raises is raised here."""

        def tell(said: Any) -> None:
            if said is not None:
                self._told(said)

        future: Future[Any] = Future()
        future.set_result(job(given, tell))
        return future


def result(future: Future[Any]) -> Any:
    """Wait for a job and return what it made.

    Raises:
        UserError: its process died.
    """
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise UserError(
            "a worker process was ended from outside, most likely because memory ran out: go on "
            "with --resume and fewer --workers, or start anew with a smaller --batch-size or --size"
        ) from error


def peak_bytes(*, own: bool = False) -> int:
    """Return the most memory that this process has had so far; 0 where nothing tells.

    Its `own` is without the files it has mapped, libraries above all, which processes share.
    """
    with suppress(OSError, ValueError, KeyError):
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        told = dict(line.split(":", 1) for line in lines if ":" in line)
        peak, files = (int(told[name].split()[0]) for name in ("VmHWM", "RssFile"))
        return 1024 * (peak - files if own else peak)
    return 0


_END = "end"
_said: Any = None
_stop: Event | None = None


def _begin(said: Any, stop: Event) -> None:
    """Once in every process: one thread, Ctrl-C is the parent's business, and end as it ends."""
    global _said, _stop
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    _said, _stop = said, stop
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run(job: Callable[[Any, Tell], Any], given: Any) -> Any:
    def tell(said: Any) -> None:
        if _stop is not None and _stop.is_set():
            raise Stopped
        if said is not None:
            _said.put(said)

    return job(given, tell)

"""Processes of one core each, in which hospitals train side by side.

What a job makes does not depend on how many there are: each keeps to one thread.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing.context import BaseContext
from multiprocessing.synchronize import Event
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from fedmed.errors import UserError
from fedmed.memory import give_back_large_blocks

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
        context = _context()
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
        self._busy = threading.Lock()

    def submit(self, job: Callable[[Any, Tell], Any], given: Any) -> Future[Any]:
        """Run `job(given, tell)` now; what it raises is raised here."""

        def tell(said: Any) -> None:
            if said is not None:
                self._told(said)

        future: Future[Any] = Future()
        with self._busy:
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


class Peak(NamedTuple):
    """The most memory, in bytes, that a worker has had so far; 0 where nothing tells."""

    own: int  # without the files it has mapped, libraries above all, which processes share
    shared: int  # what it has in common with the process that workers are copies of


def peak_bytes() -> int:
    """Return the most memory that this process has had so far; 0 where nothing tells."""
    return _told_of("status").get("VmHWM", 0)


def peak_of_a_worker() -> Peak:
    """Return what this process, a worker, has had."""
    status, shared = _told_of("status"), _told_of("smaps_rollup").get("Shared_Dirty", 0)
    own = status.get("VmHWM", 0) - status.get("RssFile", 0) - shared
    return Peak(max(own, 0), shared)


def _told_of(what: str) -> dict[str, int]:
    """Return what Linux tells of this process, in bytes, by name."""
    with suppress(OSError):
        text = Path("/proc/self", what).read_text(encoding="ascii", errors="replace")
        found = re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)
        return {name: 1024 * int(kilobytes) for name, kilobytes in found}
    return {}


def _context() -> BaseContext:
    """How processes begin.

    A fork of this one could hang in a library that has threads here. So each is a copy of one that
    has imported what jobs need and done nothing, which costs neither the time nor the memory of
    another import; or, where there is no such thing, starts afresh. It is asked through a socket in
    the folder for temporary files, whose path may have 107 bytes.
    """
    folder = os.fsencode(tempfile.gettempdir())
    if sys.platform != "linux" or len(folder) + len("/pymp-12345678/listener-12345678") > 107:
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "fedmed.training.network_trainer"])
    return context


_END = "end"
_said: Any = None
_stop: Event | None = None


def _begin(said: Any, stop: Event) -> None:
    """Once in every process: one thread, no hoard, Ctrl-C is the parent's, and end as it ends."""
    global _said, _stop
    import torch

    give_back_large_blocks()
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

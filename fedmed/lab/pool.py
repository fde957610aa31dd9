"""Worker processes for the lab: few, shared fairly, and a run ends when nobody looks at it."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from fedmed.errors import UserError
from fedmed.uploads.fair_semaphore import FairSemaphore
from fedmed.uploads.sandbox import environment

WORKERS = max(1, min(2, os.cpu_count() or 2))  # at once; the others wait their turn
MOST = 64  # runs that work or wait; a client may hold as many as it leaves free
BEAT = 0.1  # seconds between two looks whether anybody still waits
LONGEST = 60.0  # seconds of a run: the slowest that the settings allow takes half of it

BUSY = "The lab has too many runs under way. Wait a little, then press Run again."
YOURS = "Too many of your runs are under way. Wait for one to end, then run again."
ENDED = "The process that federates ended. Run again."
SLOW = "This server is too busy for so long a run. Take fewer rounds, or run again later."

Event = dict[str, Any]


class Pool:
    """Runs federations in worker processes; threads may share it."""

    def __init__(self, workers: int = WORKERS) -> None:
        self._turns = FairSemaphore(workers)
        self._idle: list[_Worker] = []
        self._lock = threading.Lock()
        self._runs: dict[int, str] = {}  # whose, of those that work or wait
        self._numbers = count(1)
        atexit.register(self.stop)

    def run(self, folder: Path, settings: Event, client: str) -> Generator[Event | None]:
        """Yield a run's events as they come, and None where BEAT passed without any.

        Closed early, or cut off after LONGEST seconds, the run ends with its round.

        Raises:
            UserError: the settings or their X-rays will not do, or too many runs are under way.
        """
        number = next(self._numbers)
        with self._lock:
            free = MOST - len(self._runs)
            if not free:
                raise UserError(BUSY)
            if sum(who == client for who in self._runs.values()) >= free:
                raise UserError(YOURS)
            self._runs[number] = client
        gone = threading.Event()
        answers: SimpleQueue[Event] = SimpleQueue()

        def work() -> None:
            try:
                with self._turns.turn(client):
                    if not gone.is_set():
                        with self._worker() as worker:
                            worker.run(number, folder, settings, answers, gone)
            except UserError as error:
                answers.put({"error": str(error)})
            except Exception:
                answers.put({"error": ENDED})
            finally:
                with self._lock:
                    del self._runs[number]
                answers.put({"done": True})

        threading.Thread(target=work, daemon=True).start()
        try:
            while True:
                try:
                    answer = answers.get(timeout=BEAT)
                except Empty:
                    yield None
                    continue
                if "error" in answer:
                    raise UserError(answer["error"])
                if "done" in answer:
                    return
                yield answer["event"]
        finally:
            gone.set()

    def warm(self, folder: Path) -> None:
        """Start the workers and let them read the features ahead, in the background."""

        def start() -> None:
            with suppress(Exception), self._turns.turn("warming"), self._worker() as worker:
                worker.run(0, folder, None, SimpleQueue(), threading.Event())

        with self._lock:
            cold = not self._idle and not self._runs
        if cold:
            threading.Thread(target=start, daemon=True).start()

    def stop(self) -> None:
        """End the workers that wait for runs."""
        with self._lock:
            while self._idle:
                self._idle.pop().end()

    @contextmanager
    def _worker(self) -> Iterator[_Worker]:
        """A worker to one's own: an idle one, or a new one; one that fails is not kept."""
        with self._lock:
            worker = self._idle.pop() if self._idle else None
        if worker is None or not worker.is_alive:
            worker = _Worker()
        try:
            yield worker
        except BaseException:
            worker.end()
            raise
        with self._lock:
            self._idle.append(worker)


class _Worker:
    """A process that federates, one run at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fedmed.lab.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=environment() | {"OMP_NUM_THREADS": "1"},
        )
        self._read()  # it is ready

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def run(
        self,
        number: int,
        folder: Path,
        settings: Event | None,
        answers: SimpleQueue[Event],
        gone: threading.Event,
    ) -> None:
        """Put a run's answers into `answers`; `settings` None warms up. Cancelled once `gone`.

        Raises:
            UserError: it took more than LONGEST.
        """
        late = threading.Event()

        def end() -> None:
            late.set()
            self.end()

        cut = threading.Timer(LONGEST, end)
        cut.daemon = True
        cut.start()
        try:
            self._write({"id": number, "folder": str(folder), "settings": settings})
            cancelled = False
            while True:
                answer = self._read()
                if "done" in answer:
                    return
                if gone.is_set():
                    if not cancelled:
                        self._write({"cancel": number})
                        cancelled = True
                    continue
                answers.put(answer)
        except (OSError, ValueError):
            if late.is_set():
                raise UserError(SLOW) from None
            raise
        finally:
            cut.cancel()

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if stream:
                    stream.close()

    def _write(self, message: Event) -> None:
        stream = self._process.stdin
        if stream is None:
            raise OSError("no input")
        stream.write(json.dumps(message) + "\n")
        stream.flush()

    def _read(self) -> Event:
        stream = self._process.stdout
        line = stream.readline() if stream else ""
        if not line:
            raise OSError(ENDED)
        message: Event = json.loads(line)
        return message

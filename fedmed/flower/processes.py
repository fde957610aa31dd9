"""Processes that a command starts, each with a log, and stops whatever happens."""

from __future__ import annotations

import ctypes
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from fedmed.errors import UserError
from fedmed.flower import watchdog

GRACE_SECONDS = 10.0
_PR_SET_PDEATHSIG = 1  # prctl(2): the signal that a process gets when its parent is gone
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class Processes:
    """A context in which processes live: it ends, and none of them or of their children is left.

    On Linux none is left either where whoever opened it is killed (kill -9).
    """

    def __init__(self, logs: Path, environment: Mapping[str, str]) -> None:
        self.logs = logs
        self._mark = secrets.token_hex(8)
        self._environment = {**os.environ, **environment, watchdog.MARK: self._mark}
        self._started: dict[str, subprocess.Popen] = {}
        self._begun: dict[str, int] = {}  # where in its log each began
        self._watchdog: subprocess.Popen | None = None
        logs.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Processes:
        self._watchdog = subprocess.Popen(
            [sys.executable, "-I", "-S", watchdog.__file__, self._mark],
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is not for it
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Flower's processes start others in groups of their own, which outlive them.
        family = descendants([process.pid for process in self._started.values()])
        family |= {pid: _started(pid) for pid in watchdog.marked(self._mark)}
        for process in self._started.values():
            _signal(process, signal.SIGTERM)
        until = time.monotonic() + GRACE_SECONDS
        for process in self._started.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, until - time.monotonic()))
            _signal(process, signal.SIGKILL)
            process.wait()
        for pid, started in family.items():
            if _started(pid) == started:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + GRACE_SECONDS
        while any(_lives(pid, started) for pid, started in family.items()):
            if time.monotonic() > until:
                break
            time.sleep(0.05)
        if self._watchdog:
            self._watchdog.communicate()

    def start(
        self, name: str, command: Sequence[str], more: Mapping[str, str] | None = None
    ) -> subprocess.Popen:
        """Start a command in a process group of its own; what it says goes into logs/NAME.log.

        On Linux it is asked to end when the thread that starts it is gone.
        """
        with (self.logs / f"{name}.log").open("ab") as log:
            self._begun.setdefault(name, log.tell())
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment | dict(more or {}),
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        self._started[name] = process
        return process

    def kill(self, name: str) -> None:
        """Kill one process as a power cut would; its children are left to themselves."""
        self._started[name].kill()
        self._started[name].wait()

    def running(self, name: str) -> bool:
        """Tell whether a process has not ended."""
        return self._started[name].poll() is None

    def log(self, name: str) -> str:
        """What processes of this name have said here so far, and none of a run before."""
        said = (self.logs / f"{name}.log").read_bytes()[self._begun[name] :]
        return said.decode(errors="replace")

    def call(self, name: str, command: Sequence[str], seconds: float = 300) -> str:
        """Run a command to its end and return what it said.

        Raises:
            UserError: it failed, or took longer.
        """
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=self._environment,
                timeout=seconds,
                text=True,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise UserError(f"{name} did not end within {seconds:.0f} s") from error
        if done.returncode:
            raise UserError(f"{name} failed: {done.stdout.strip()[-500:]}")
        return done.stdout


def _end_with_parent() -> None:
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _signal(process: subprocess.Popen, number: signal.Signals) -> None:
    """Send a signal to a process and all its children."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def descendants(parents: Sequence[int]) -> dict[int, str]:
    """Return all children of processes and theirs, and when each was started; on Linux."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    found: dict[int, str] = {}
    todo = [*parents]
    while todo:
        for child in children.get(todo.pop(), []):
            found[child] = _started(child)
            todo.append(child)
    return found


def _started(pid: int) -> str:
    """When a process was started, which tells it from a later one of the same number."""
    with suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return "gone"


def _lives(pid: int, started: str) -> bool:
    """Tell whether a process has not ended; one that nobody has asked about yet has."""
    with suppress(OSError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return fields[19] == started and fields[0] != "Z"
    return False


def free_port() -> int:
    """Return a port of this machine that nothing listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def wait_for_port(host: str, port: int, alive: Processes, name: str, seconds: float = 300) -> None:
    """Wait until a process listens.

    Raises:
        UserError: it ended, or does not.
    """
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not alive.running(name):
            raise UserError(f"{name} ended: {alive.log(name).strip()[-500:]}")
        with suppress(OSError), socket.create_connection((host, port), timeout=1):
            return
        time.sleep(0.2)
    raise UserError(f"{name} does not listen on {host}:{port} after {seconds:.0f} s")

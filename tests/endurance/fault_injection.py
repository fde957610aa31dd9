"""Processes of their own, and what can befall their writes: a kill, a full disk, a read-only one.

A write is what Python's audit events tell of: a file opened for writing, a folder made, a rename,
every eighth removal. Needs os.fork.
"""

from __future__ import annotations

import functools
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch

MAKES = ("os.mkdir", "os.rename")
REMOVES = ("os.remove", "os.rmdir")
EACH = 8  # of the removals: a folder's are one like another
RUBBISH = b"\x93torn"

Trouble = Callable[[], None]  # what is set up in the process of a run before it starts


def _writes(act: Callable[[str, str], None]) -> None:
    """Call `act` with the audit event and the path of every write of this process from now on."""
    removed = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal removed
        if event == "open" and isinstance(arguments[0], str):
            writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
            if arguments[2] & writing and not Path(arguments[0]).is_dir():
                act(event, arguments[0])
        elif event in MAKES:
            act(event, os.fspath(arguments[1 if event == "os.rename" else 0]))
        elif event in REMOVES:
            removed += 1
            if removed % EACH == 1:
                act(event, os.fspath(arguments[0]))

    # safetensors writes in Rust, of which Python hears nothing.
    whole = safetensors.torch.save_file

    def save_file(tensors: Any, filename: Any, *arguments: Any, **named: Any) -> None:
        act("save_file", os.fspath(filename))
        whole(tensors, filename, *arguments, **named)

    safetensors.torch.save_file = save_file
    sys.addaudithook(hook)


def count_writes(counted: Path) -> None:
    """Write down event and path of every write, a line each."""
    file = os.open(counted, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def act(event: str, path: str) -> None:
        os.write(file, f"{event} {path}\n".encode())

    _writes(act)


def killed_at(write: int) -> Trouble:
    """The process is killed as it makes this write, which leaves rubbish in the file."""
    made = 0

    def act(event: str, path: str) -> None:
        nonlocal made
        made += 1
        if made == write:
            if event in ("open", "save_file"):
                file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                os.write(file, RUBBISH)
            os.kill(os.getpid(), signal.SIGKILL)

    return functools.partial(_writes, act)


def refused_from(write: int, code: int, place: Path) -> Trouble:
    """From this write on, nothing can be written below `place`; removing still can."""
    made = 0

    def act(event: str, path: str) -> None:
        nonlocal made
        made += 1
        if made >= write and event not in REMOVES and Path(path).is_relative_to(place):
            if event == "save_file":
                raise safetensors.SafetensorError(
                    f"Error while serializing: I/O error: {os.strerror(code)} (os error {code})"
                )
            raise OSError(code, os.strerror(code), path)

    return functools.partial(_writes, act)


def limited_to(size: int) -> Trouble:
    """No file may grow beyond `size` bytes: the kernel's own refusal."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def finish(process: tuple[int, Path]) -> tuple[int, str]:
    """Wait for a process; its exit status, negative for a signal, and what it said."""
    pid, output = process
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    said = output.read_text(encoding="utf-8")
    output.unlink()
    return status, said


def fork(work: Callable[[], int], output: Path) -> tuple[int, Path]:
    """Start a process that does this work and says what it says into a file."""
    sys.stdout.flush()
    if pid := os.fork():
        return pid, output
    status = 70
    try:
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        status = work()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)

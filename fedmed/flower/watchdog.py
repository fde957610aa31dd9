"""Kills what a command started once the command is gone, however it ended (kill -9).

Run as a script, before anything else: `watchdog.py MARK`, with the command at the other end of its
input. It imports nothing of FedMed, so that it takes little memory and is there at once.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

MARK = "FEDMED_STARTED_BY"  # in the environment, which children of children inherit


def marked(mark: str) -> list[int]:
    """Return the processes that have the mark, whosever children they are by now; on Linux."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # another user's, or it has ended
            if wanted in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found


def main() -> None:
    """Wait for the end of the input, then kill until nothing is left to."""
    sys.stdin.buffer.read()
    while pids := marked(sys.argv[1]):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()

"""Servers under test: started as a visitor's would be, watched from outside (Linux)."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.error import URLError
from urllib.request import urlopen

from fedmed.errors import UserError

REPOSITORY = Path(__file__).parent.parent
GIVE_UP_SECONDS = 300


class Server(NamedTuple):
    """A running server."""

    url: str
    pid: int

    def processor_seconds(self) -> float:
        """What it has used so far, of all cores."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mib(self) -> float:
        """Memory that it holds."""
        status = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return int(next(line for line in status if line.startswith("VmRSS")).split()[1]) / 1024


@contextmanager
def running(
    arguments: Sequence[str],
    answer: bytes,
    environment: Mapping[str, str] | None = None,
    log: Path | None = None,
) -> Iterator[Server]:
    """`python ARGUMENTS` on a free port, from the moment its page holds `answer`.

    What it writes goes to `log`; without one, errors are shown and the rest is dropped.

    Raises:
        UserError: it does not come up.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as uploads:
        variables = os.environ | {"GRADIO_SERVER_PORT": str(port), "GRADIO_TEMP_DIR": uploads}
        variables |= environment or {}
        variables.pop("GRADIO_SERVER_NAME", None)
        command = [sys.executable, *arguments]
        with (log or Path(os.devnull)).open("wb") as written:
            process = subprocess.Popen(
                command,
                cwd=REPOSITORY,
                env=variables,
                stdout=written,
                stderr=written if log else None,
            )
        try:
            url = f"http://127.0.0.1:{port}/"
            _wait(url, answer, process)
            yield Server(url, process.pid)
        finally:
            process.terminate()
            process.wait()


def _wait(url: str, answer: bytes, process: subprocess.Popen) -> None:
    given_up = time.monotonic() + GIVE_UP_SECONDS
    while process.poll() is None and time.monotonic() < given_up:
        try:
            with urlopen(url, timeout=10) as page:
                if answer in page.read():
                    return
        except (URLError, OSError):
            time.sleep(0.01)
    raise UserError(f"{url} did not come up; start {process.args!r} by hand to see why.")

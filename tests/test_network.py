"""Neither training nor the app calls anybody, unless it is asked to."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.serving import running
from tests.support.runs import CALLS, ROOT, watched
from tests.support.strangers import works

ITSELF = {"127.0.0.1", "localhost", "::1", "0.0.0.0", socket.gethostname()}


def called(log: Path) -> set[str]:
    """Who was called, but for this machine."""
    return set(log.read_text().split()) - ITSELF


def test_the_watch_sees_calls(tmp_path: Path) -> None:
    caller = tmp_path / "caller.py"
    caller.write_text(
        "import os, socket\n"
        "if os.fork() == 0:\n    socket.socket(type=socket.SOCK_DGRAM).connect(('192.0.2.1', 9))\n"
        "else:\n    os.wait()\n"
    )
    subprocess.run([sys.executable, *watched(tmp_path / "log", str(caller))], check=True)
    assert called(tmp_path / "log") == {"192.0.2.1"}


def test_training_calls_nobody(place: Path, finished: subprocess.CompletedProcess[str]) -> None:
    assert finished.returncode == 0, finished.stderr
    assert called(place / CALLS) == set()


@pytest.mark.skipif(sys.platform != "linux", reason="the app is watched there alone")
def test_the_app_calls_nobody(snapshot_folder: Path, tmp_path: Path) -> None:
    command = watched(tmp_path / "log", str(ROOT / "app.py"))
    environment = {"FEDMED_SNAPSHOT": str(snapshot_folder)}
    with running(command, b"FedMed", environment) as app:
        assert works(app.url)
    assert called(tmp_path / "log") == set()

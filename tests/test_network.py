"""Neither training nor the app calls anybody, unless it is asked to."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.serving import running
from tests.support.runs import ROOT, arguments
from tests.support.strangers import works

# Whom a program and its children ask about or connect to, a line each.
WATCHED = """
import os, runpy, sys

log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

def hook(event, arguments):
    host = None
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    if host:
        os.write(log, f"{host}\\n".encode())

sys.addaudithook(hook)
sys.argv = sys.argv[2:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
runpy.run_path(sys.argv[0], run_name="__main__")
"""
ITSELF = {"127.0.0.1", "localhost", "::1", "0.0.0.0", socket.gethostname()}


def called(log: Path) -> set[str]:
    """Who was called, but for this machine."""
    return set(log.read_text().split()) - ITSELF


def watched(log: Path, *command: str) -> list[str]:
    return [sys.executable, "-c", WATCHED, str(log), *command]


def test_the_watch_sees_calls(tmp_path: Path) -> None:
    caller = tmp_path / "caller.py"
    caller.write_text(
        "import os, socket\n"
        "if os.fork() == 0:\n    socket.socket(type=socket.SOCK_DGRAM).connect(('192.0.2.1', 9))\n"
        "else:\n    os.wait()\n"
    )
    subprocess.run(watched(tmp_path / "log", str(caller)), check=True)
    assert called(tmp_path / "log") == {"192.0.2.1"}


def test_training_calls_nobody(place: Path, tmp_path: Path) -> None:
    options = arguments(place, f"--output={tmp_path / 'snapshot'}")
    done = subprocess.run(
        watched(tmp_path / "log", str(ROOT / "train.py"), *options),
        cwd=place,
        env=os.environ | {"FEDMED_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert called(tmp_path / "log") == set()


@pytest.mark.skipif(sys.platform != "linux", reason="the app is watched there alone")
def test_the_app_calls_nobody(snapshot_folder: Path, tmp_path: Path) -> None:
    command = watched(tmp_path / "log", str(ROOT / "app.py"))[1:]
    environment = {"FEDMED_SNAPSHOT": str(snapshot_folder)}
    with running(command, b"FedMed", environment) as app:
        assert works(app.url)
    assert called(tmp_path / "log") == set()

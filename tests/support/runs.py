"""Whole runs of train.py on a few simulated films, for the tests of what they do and leave."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fedmed.backbones.weights import write_state
from fedmed.evaluation import evaluation_set, shifted
from fedmed.evaluation.metrics import evaluate
from fedmed.experiment.settings import Settings
from fedmed.files import write_atomically
from tests.support.films import write_films
from tests.support.snapshots import random_backbone

ROOT = Path(__file__).parents[2]
OPTIONS = {"rounds": 2, "local_epochs": 1, "epochs": 2, "views": 2, "examples": 4, "hospitals": 3}
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
CALLS = "../calls"  # beside `place`: whom the finished run asked about or connected to
MODELS = ["central", "federated", "hospital_1", "hospital_2", "hospital_3"]


@pytest.fixture(scope="session")
def place(finished: subprocess.CompletedProcess[str], run_place: Path) -> Path:
    """Films in `clinic/`, a backbone of random weights in `backbone/`, the finished run's `cache/`
    and `snapshot/`. Read only but for the cache."""
    return run_place


@pytest.fixture(scope="session")
def run_place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of all processes that run tests at once, which have folders of their own in one."""
    own = tmp_path_factory.getbasetemp()
    return (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "run" / "training"


@pytest.fixture(scope="session")
def finished(run_place: Path) -> subprocess.CompletedProcess[str]:
    """One run as a person starts it, its snapshot in `place/snapshot`; its calls are watched.

    Whichever process wants it first makes it, and the others wait.
    """
    ended = run_place.with_name("ended.json")
    try:
        run_place.parent.mkdir()
    except FileExistsError:
        given_up = time.monotonic() + 600
        while not ended.exists():
            assert time.monotonic() < given_up, "the process that makes the run did not end it"
            time.sleep(0.2)
        return subprocess.CompletedProcess(**json.loads(ended.read_text()))
    write_films(run_place / "clinic")
    backbone = random_backbone()
    write_state(backbone.state, backbone.origin, run_place / "backbone")
    (run_place / CALLS).touch()
    command = [*watched(run_place / CALLS, str(ROOT / "train.py")), *arguments(run_place)]
    done = _run(run_place, command)
    write_atomically(ended, json.dumps(vars(done)).encode())
    return done


@pytest.fixture
def settings(place: Path, tmp_path: Path, finished: object, monkeypatch: Any) -> Settings:
    """The same run to `tmp_path/snapshot`, its features computed already, hasty intervals."""
    monkeypatch.setenv("FEDMED_CACHE", str(place / "cache"))
    for module in (evaluation_set, shifted):
        monkeypatch.setattr(module, "evaluate", functools.partial(evaluate, resamples=20))
    return Settings(
        data=str(place / "clinic"),
        backbone=str(place / "backbone"),
        output=tmp_path / "snapshot",
        **OPTIONS,  # type: ignore[arg-type]
    )


def arguments(place: Path, *more: str) -> list[str]:
    """The run's options, paths relative to `place`."""
    options = {"data": "clinic", "backbone": "backbone", **OPTIONS}
    given = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    return [*given, *more]


def start(
    place: Path, script: str, options: list[str], cache: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a script of the repository, or code, in `place`."""
    code = [str(ROOT / script)] if script.endswith(".py") else ["-c", script]
    return _run(place, [*code, *options], cache)


def watched(log: Path, script: str) -> list[str]:
    """Python's arguments for a script whose calls, its children's too, are written to `log`."""
    return ["-c", WATCHED, str(log), script]


def _run(
    place: Path, command: list[str], cache: Path | None = None
) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "FEDMED_CACHE": str(cache or place / "cache"),
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "80",
    }
    return subprocess.run(
        [sys.executable, *command],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )


def tensors(folder: Path) -> dict[str, str]:
    """The sha256 of every safetensors file of a snapshot."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob("*.safetensors"))
    }


@pytest.fixture(scope="session")
def folder(place: Path, finished: subprocess.CompletedProcess[str]) -> Path:
    """The snapshot of the finished run. Read only."""
    assert finished.returncode == 0, finished.stderr
    return place / "snapshot"

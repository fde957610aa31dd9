"""What a snapshot weighs, and what fetching it costs: `python -m benchmarks.snapshot`.

The app starts with the bundled snapshot, with the same one from a Hub on this machine that it has
never asked, and again once it has a copy: whole processes in turns, until the page holds an answer.
A network adds its own time. Needs a checkout, for the Hub is the tests'.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import measuring
from benchmarks.app import ANSWER
from benchmarks.serving import GIVE_UP_SECONDS, REPOSITORY, running
from fedmed import cli
from fedmed.backbones.backbone import IMAGENET
from fedmed.errors import UserError

REPO = "alice/snapshot"
MEGABYTE = 1e6


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.snapshot", description=__doc__)
    parser.add_argument("--snapshot", type=Path, default=IMAGENET, help="default: imagenet")
    parser.add_argument("--starts", type=int, default=5, help="default: %(default)s")
    options = parser.parse_args()
    result: dict[str, Any] = {"megabytes": weights(options.snapshot)}
    print(measuring.table([result["megabytes"]]), flush=True)
    result["seconds"] = starts(options.snapshot, options.starts)
    rows = [{"": name} | taken for name, taken in result["seconds"].items()]
    print(measuring.table(rows))
    print(f"written to {measuring.write('snapshot', result)}")


def weights(folder: Path) -> dict[str, float]:
    """Megabytes of a snapshot's parts."""
    sizes = {"backbone": 0.0, "heads": 0.0, "examples": 0.0, "rest": 0.0}
    for path in (path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        part = next((part for part in ("backbone", "examples") if name.startswith(part)), "rest")
        part = "heads" if name.endswith("_model.safetensors") else part
        sizes[part] += path.stat().st_size / MEGABYTE
    return sizes | {"all": sum(sizes.values())}


def starts(folder: Path, repeats: int) -> dict[str, dict[str, float]]:
    """Median seconds of a download alone, and from a start to the first answer."""
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as scratch, _hub() as url:
        hub = {"HF_ENDPOINT": url, "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": "hf_write"}
        push = [sys.executable, "-m", "fedmed.push", str(folder.absolute()), REPO]
        subprocess.run(push, check=True, cwd=REPOSITORY, env=os.environ | hub, stdout=sys.stderr)
        for number in range(repeats):
            for name, work in _works(folder.absolute(), hub, f"{scratch}/{number}").items():
                started = time.monotonic()
                took = work()
                seconds.setdefault(name, []).append(took or time.monotonic() - started)
    return {
        name: {"median": statistics.median(taken), "least": min(taken), "most": max(taken)}
        for name, taken in seconds.items()
    }


def _works(folder: Path, hub: dict[str, str], copies: str) -> dict[str, Callable[[], float | None]]:
    """What is measured, in an order in which the copy comes before its use."""
    asked = hub | {"HF_HOME": f"{copies}/app", "FEDMED_SNAPSHOT": REPO}
    return {
        "download alone": lambda: _download(hub | {"HF_HOME": f"{copies}/alone"}),
        "start, bundled": lambda: _start({"FEDMED_SNAPSHOT": str(folder)}),
        "start, from the Hub": lambda: _start(asked),
        "start, from its copy": lambda: _start(asked),
    }


def _download(environment: dict[str, str]) -> float:
    """Seconds in `hub.fetch`, in a process of its own, its imports left out."""
    code = (
        "import time, huggingface_hub; from fedmed import hub; huggingface_hub.HfApi; "
        f"started = time.monotonic(); hub.fetch({REPO!r}); print(time.monotonic() - started)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=os.environ | environment, check=True, stdout=subprocess.PIPE
    )
    return float(done.stdout.split()[-1])


def _start(environment: dict[str, str]) -> None:
    with running(["app.py"], ANSWER, environment):
        pass


@contextmanager
def _hub() -> Iterator[str]:
    """The tests' Hub in a process of its own, so that it does not share our interpreter."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "tests.support.hub_server", "--port", str(port)]
    server = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    try:
        given_up = time.monotonic() + GIVE_UP_SECONDS
        while server.poll() is None and time.monotonic() < given_up:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
                continue
            yield f"http://127.0.0.1:{port}"
            return
        raise UserError(
            "The loopback Hub did not come up: python -m tests.support.hub_server shows why."
        )
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    raise SystemExit(cli.run(main))

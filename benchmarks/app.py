"""What answering costs, as ratios within one run: `python -m benchmarks.app`.

- reading: every model's prediction and heat map for one X-ray, over one bare pass through the same
  backbone. Both take the same 224-pixel image, in turns.
- start: from the start of `python app.py` until its page, with the first answer in it, is served,
  over `python -c "import torch, gradio"`. Both are whole processes, in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from fedmed import cli
from fedmed.backbone import BUNDLED
from fedmed.errors import UserError

REPOSITORY = Path(__file__).parent.parent
ANSWER = b"fm-model"
GIVE_UP_SECONDS = 300


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.app", description=__doc__)
    parser.add_argument("--readings", type=int, default=200, help="default: %(default)s")
    parser.add_argument("--starts", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--snapshot", type=Path, default=BUNDLED, help="default: the bundled one")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/app.json"))
    options = parser.parse_args()
    result = {
        "reading": reading(options.readings, options.snapshot),
        "start": starting(options.starts, options.snapshot),
    }
    print(json.dumps(result, indent=1))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def reading(rounds: int, folder: Path) -> dict[str, Any]:
    """A reading of the snapshot's models against a pass through its backbone."""
    from PIL import Image

    from fedmed import simulation
    from fedmed.prediction import Panel
    from fedmed.preprocessing import CLEAN, render, to_input
    from fedmed.snapshot import Snapshot

    snapshot = Snapshot.open(folder)
    panel = Panel(snapshot)
    pixels = simulation.simulate(0, 1).pixels
    image = Image.fromarray(pixels)
    inputs = to_input(render(CLEAN, pixels[None], [""]))
    answer, bare = in_turns(
        rounds, lambda: panel.read(image), lambda: snapshot.backbone.feature_maps(inputs)
    )
    return {
        "models": len(snapshot.models),
        "rounds": rounds,
        "ratio": statistics.median(answer) / statistics.median(bare),
    }


def starting(rounds: int, folder: Path) -> dict[str, Any]:
    """The first answer against the imports it cannot do without."""
    imports = [sys.executable, "-c", "import torch, gradio"]
    answer, bare = in_turns(
        rounds,
        lambda: first_answer(folder),
        lambda: subprocess.run(imports, check=True, cwd=REPOSITORY),
    )
    return {"rounds": rounds, "ratio": statistics.median(answer) / statistics.median(bare)}


def in_turns(
    rounds: int, first: Callable[[], object], second: Callable[[], object]
) -> tuple[list[float], list[float]]:
    """Seconds of both, alternating, so that a change in the machine's load meets both."""
    first(), second()  # caches of files, weights and code
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for place, work in enumerate((first, second)):
            started = time.perf_counter()
            work()
            seconds[place].append(time.perf_counter() - started)
    return seconds


def first_answer(folder: Path) -> None:
    """Start the app on a free port, wait for a page that holds an answer, and end the app."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"GRADIO_SERVER_PORT": str(port), "FEDMED_SNAPSHOT": str(folder)}
    environment.pop("GRADIO_SERVER_NAME", None)
    app = subprocess.Popen(
        [sys.executable, "app.py"], cwd=REPOSITORY, env=environment, stdout=subprocess.DEVNULL
    )
    try:
        _wait_for_answer(f"http://127.0.0.1:{port}/", app)
    finally:
        app.kill()
        app.wait()


def _wait_for_answer(url: str, app: subprocess.Popen) -> None:
    given_up = time.monotonic() + GIVE_UP_SECONDS
    while app.poll() is None and time.monotonic() < given_up:
        try:
            with urlopen(url, timeout=10) as page:
                if ANSWER in page.read():
                    return
        except (URLError, OSError):
            time.sleep(0.01)
    raise UserError("app.py did not serve an answer; start it by hand to see why.")


if __name__ == "__main__":
    raise SystemExit(cli.run(main))

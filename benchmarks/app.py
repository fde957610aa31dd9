"""What answering costs, as ratios within one run: `python -m benchmarks.app`.

- reading: every model's prediction and heat map for one X-ray, over one bare pass through the same
  backbone. Both take the same 224-pixel image, in turns.
- start: from the start of `python app.py` until its page, with the first answer in it, is served,
  over `python -c "import torch, gradio"`. Both are whole processes, in turns.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import measuring
from benchmarks.serving import REPOSITORY, running
from fedmed import cli
from fedmed.backbones.backbone import IMAGENET

ANSWER = b"fm-model"
IMPORTS = [sys.executable, "-c", "import torch, gradio"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.app", description=__doc__)
    parser.add_argument("--readings", type=int, default=200, help="default: %(default)s")
    parser.add_argument("--starts", type=int, default=7, help="default: %(default)s")
    parser.add_argument("--snapshot", type=Path, default=IMAGENET, help="default: imagenet")
    options = parser.parse_args()
    result = {
        "reading": reading(options.readings, options.snapshot),
        "start": starting(options.starts, options.snapshot),
    }
    print(measuring.table([{"": name} | found for name, found in result.items()]))
    print(f"written to {measuring.write('app', result)}")


def reading(repeats: int, folder: Path) -> dict[str, Any]:
    """A reading of the snapshot's models against a pass through its backbone."""
    from PIL import Image

    from fedmed import simulation
    from fedmed.imaging.augmentation import CLEAN, render
    from fedmed.imaging.preprocessing import to_input
    from fedmed.inference.predictor import Predictor
    from fedmed.snapshot.reader import Snapshot

    snapshot = Snapshot.open(folder)
    predictor = Predictor(snapshot)
    pixels = simulation.simulate(0, 1).pixels
    image = Image.fromarray(pixels)
    inputs = to_input(render(CLEAN, pixels[None], [""]))
    works = {
        "ours": lambda: predictor.predict_image(image),
        "floor": lambda: snapshot.backbone.feature_maps(inputs),
    }
    return _compared(repeats, measuring.median_of(repeats, works))


def starting(repeats: int, folder: Path) -> dict[str, Any]:
    """The first answer against the imports it cannot do without."""

    def first_answer() -> None:
        with running(["app.py"], ANSWER, {"FEDMED_SNAPSHOT": str(folder)}):
            pass

    def imports() -> None:
        subprocess.run(IMPORTS, check=True, cwd=REPOSITORY)

    works = {"ours": first_answer, "floor": imports}
    return _compared(repeats, measuring.median_of(repeats, works))


def _compared(repeats: int, seconds: dict[str, float]) -> dict[str, Any]:
    ratio = seconds["ours"] / seconds["floor"]
    return {"repeats": repeats} | {f"{k}_seconds": v for k, v in seconds.items()} | {"ratio": ratio}


if __name__ == "__main__":
    raise SystemExit(cli.run(main))

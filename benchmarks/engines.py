"""Which engine is fast, and which faithful? `python -m benchmarks.engines --data DIR`.

Speed: images a second through the bundled backbone, all engines in turns: one batch on all cores,
and a batch on each core at once, as training does. Faithfulness: train.py runs in full on each
engine, and its features, verdicts and metrics on validation and test are held against those on
PyTorch in FP32. Where a metric moves in its third decimal, an engine is not chosen by itself.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks import measuring
from benchmarks.serving import REPOSITORY
from fedmed import cli, data
from fedmed.backbones import engine
from fedmed.backbones.backbone import Backbone, load
from fedmed.data.cohort import Xray
from fedmed.data.holdout import hold_out
from fedmed.data.public_cohort import public_patients
from fedmed.errors import UserError
from fedmed.evaluation.metrics import METRICS
from fedmed.features.cache import FeatureCache
from fedmed.features.extract import BATCH
from fedmed.features.sites import Features
from fedmed.imaging.augmentation import CLEAN
from fedmed.snapshot.reader import Snapshot
from fedmed.training.heads import probabilities

REFERENCE = "torch"
SIZES = (1, 8, 32)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines", description=__doc__)
    parser.add_argument("--data", type=Path, help="the public data set; without, speed alone")
    parser.add_argument("--engines", default=",".join(engine.ENGINES), help="default: %(default)s")
    parser.add_argument("--views", type=int, default=1, help="of train.py (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=7, help="default: %(default)s")
    options = parser.parse_args()
    names = options.engines.split(",")
    if names[0] != REFERENCE:
        raise UserError(f"--engines: the first is {REFERENCE}, which the others are held against.")

    backbones = {name: _on(name) for name in names}
    result: dict[str, Any] = {"speed": speed(backbones, options.repeats)}
    rows = [{"engine": name} | found for name, found in result["speed"].items()]
    print(measuring.table(rows), flush=True)
    if options.data:
        result["faithful"] = faithful(backbones, options.data.absolute(), options.views)
        rows = [{"engine": name} | found for name, found in result["faithful"].items()]
        print(measuring.table(rows))
    print(f"written to {measuring.write('engines', result)}")


def _on(name: str) -> Backbone:
    """The bundled backbone on one engine, which must start here."""
    if name not in engine.ENGINES:
        raise UserError(f"--engines {name}: choose from {', '.join(engine.ENGINES)}.")
    backbone = load("bundled")
    try:
        backbone.engine = engine.ENGINES[name]()
    except (ImportError, RuntimeError) as error:
        raise UserError(
            f"--engines: {name} cannot be used here ({error}); leave it out."
        ) from error
    return backbone


def speed(backbones: dict[str, Backbone], repeats: int) -> dict[str, dict[str, Any]]:
    """Milliseconds for one image, and images a second in batches and with a batch on each core."""
    cores = torch.get_num_threads()
    inputs = torch.randn(max(*SIZES, BATCH), 3, 224, 224)
    found: dict[str, dict[str, Any]] = {name: {} for name in backbones}
    for size in SIZES:
        images = inputs[:size].contiguous()
        seconds = measuring.median_of(
            repeats, {name: _work(backbone, images) for name, backbone in backbones.items()}
        )
        for name, taken in seconds.items():
            if size == 1:
                found[name]["ms for one"] = 1000 * taken
            found[name][f"images/s, batch {size}"] = size / taken
    images = inputs[:BATCH].contiguous()
    with ThreadPoolExecutor(cores, initializer=lambda: torch.set_num_threads(1)) as pool:

        def on_each_core(backbone: Backbone) -> Callable[[], object]:
            shared = backbone.shared_by(cores)
            return lambda: list(pool.map(shared.features, [images] * 2 * cores))

        works = {name: on_each_core(backbone) for name, backbone in backbones.items()}
        for name, taken in measuring.median_of(repeats, works).items():
            found[name][f"images/s, {BATCH} on each core"] = 2 * cores * BATCH / taken
    return found


def _work(backbone: Backbone, images: Tensor) -> Callable[[], object]:
    return lambda: backbone.feature_maps(images)


def faithful(backbones: dict[str, Backbone], root: Path, views: int) -> dict[str, dict[str, Any]]:
    """What becomes of features, verdicts and metrics on each engine, train.py run in full."""
    cohort = data.load(str(root))
    public = public_patients() if backbones[REFERENCE].public_cohort else frozenset()
    ours = [xray for xray in cohort.train if xray.patient not in public]
    scored = [*hold_out(ours, seed=42)[1], *cohort.test]
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        runs = {}
        for name, backbone in backbones.items():
            snapshot = _train(name, root, views, Path(scratch))
            features = _features(backbone, scored, Path(scratch) / "cache")
            verdicts = probabilities(snapshot.heads(), features).numpy() >= 0.5
            runs[name] = snapshot.report, features, verdicts
            found[name] = _against(runs[REFERENCE], runs[name])
    return found


def _train(name: str, root: Path, views: int, scratch: Path) -> Snapshot:
    variables = {engine.VARIABLE: name, "FEDMED_CACHE": str(scratch / "cache")}
    command = [sys.executable, "train.py", "--data", str(root), "--backbone", "bundled"]
    command += ["--views", str(views), "--examples", "0", "--output", str(scratch / name)]
    environment = os.environ | variables
    subprocess.run(command, cwd=REPOSITORY, env=environment, check=True, stdout=sys.stderr)
    return Snapshot.open(scratch / name)


def _features(backbone: Backbone, xrays: list[Xray], cache: Path) -> Tensor:
    """Clean features that train.py left in the cache."""
    return Features(xrays, FeatureCache(backbone, cache)).view(CLEAN)


def _against(reference: tuple, run: tuple) -> dict[str, Any]:
    """A run's report, features and verdicts beside the reference's."""
    likeness = torch.cosine_similarity(reference[1].double(), run[1].double())
    changes = np.array(
        [
            [round(scores[metric]["value"], 3), round(same[metric]["value"], 3)]
            for split in ("validation", "test")
            for scores, same in zip(
                reference[0]["protocols"][split]["models"].values(),
                run[0]["protocols"][split]["models"].values(),
                strict=True,
            )
            for metric in METRICS
        ]
    )
    moved = np.abs(np.diff(changes)).round(3)
    return {
        "images": len(likeness),
        "cosine, least": f"{float(likeness.min()):.7f}",
        "cosine, mean": f"{float(likeness.mean()):.7f}",
        "verdicts turned": int((reference[2] != run[2]).sum()),
        "of": int(run[2].size),
        "metrics moved": int((moved > 0).sum()),
        "of metrics": int(moved.size),
        "most by": float(moved.max()),
    }


if __name__ == "__main__":
    raise SystemExit(cli.run(main))

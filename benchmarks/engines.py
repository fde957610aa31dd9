"""Which engine is fast, and which faithful? `python -m benchmarks.engines --data DIR`.

Speed: images a second through the backbone, all engines in turns: one batch on all cores, and a
batch on each core at once, as training does. Faithfulness: train.py runs in full on each engine,
so that heads are trained on the very features they are scored on, and its verdicts and metrics are
held against those on PyTorch in FP32. `auto` is what a run takes by itself: bf16 for the views that
heads are trained on, where the processor has it, and FP32 for what is scored. What an engine is
chosen by is validation and its shifted copy; the official test is told beside them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
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
from fedmed.data.holdout import hold_out
from fedmed.errors import UserError
from fedmed.evaluation.metrics import METRICS
from fedmed.evaluation.shifted import SwappedValidation
from fedmed.features.cache import FeatureCache
from fedmed.features.extract import BATCH
from fedmed.features.sites import Features
from fedmed.imaging.augmentation import CLEAN
from fedmed.report.schema import ProtocolName, Report
from fedmed.snapshot.reader import Snapshot
from fedmed.training.heads import probabilities

IMAGENET = "imagenet"
REFERENCE = "torch"
AUTO = "auto"
SPLITS: tuple[ProtocolName, ...] = ("validation", "shifted", "test")
THIRD_DECIMAL = 0.001
SIZES = (1, 8, 32)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines", description=__doc__)
    parser.add_argument("--data", type=Path, help="the public data set; without, speed alone")
    which = "'imagenet', or a snapshot, whose federated network is taken (default: %(default)s)"
    parser.add_argument("--backbone", default=IMAGENET, help=which)
    parser.add_argument("--engines", default=",".join(engine.ENGINES), help="default: %(default)s")
    parser.add_argument("--images", type=int, help="of train/, whole patients; all unless given")
    parser.add_argument("--views", type=int, default=4, help="of train.py (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=7, help="default: %(default)s")
    options = parser.parse_args()
    names = options.engines.split(",")
    if names[0] != REFERENCE:
        raise UserError(f"--engines: the first is {REFERENCE}, which the others are held against.")

    backbones = {name: _on(name, options.backbone) for name in names}
    result: dict[str, Any] = {"backbone": backbones[REFERENCE].id}
    result["speed"] = speed(backbones, options.repeats)
    rows = [{"engine": name} | found for name, found in result["speed"].items()]
    print(measuring.table(rows), flush=True)
    if options.data:
        result["images"], result["faithful"] = faithful(names, options)
        for split in SPLITS:
            told = {name: found[split] for name, found in result["faithful"].items()}
            print(f"\n{split}")
            print(measuring.table([{"engine": name} | found for name, found in told.items()]))
    of = "" if options.backbone == IMAGENET else f"_{Path(options.backbone).name}"
    print(f"written to {measuring.write(f'engines{of}', result)}")


def _on(name: str, which: str) -> Backbone:
    """A backbone on one engine, which must start here."""
    if name not in engine.ENGINES:
        raise UserError(f"--engines {name}: choose from {', '.join(engine.ENGINES)}.")
    try:
        return load(which).on(engine.ENGINES[name]())
    except (ImportError, RuntimeError) as error:
        raise UserError(
            f"--engines: {name} cannot be used here ({error}); leave it out."
        ) from error


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


def faithful(
    names: Sequence[str], options: argparse.Namespace
) -> tuple[dict[str, int], dict[str, dict[str, Any]]]:
    """What becomes of verdicts and metrics on each engine and on `auto`, train.py run in full.

    Returns the images of each split, and by engine and split how it differs from the reference.
    """
    reports: dict[str, Report] = {}
    verdicts: dict[str, dict[str, np.ndarray]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        root = _linked(options.data.absolute(), options.images, Path(scratch) / "chest_xray")
        cohort = data.load(str(root))
        backbone = load(options.backbone)
        training, held_out = hold_out(cohort.train, seed=42)
        for name in (*names, AUTO):
            run = _train(name, root, options, Path(scratch))
            reports[name] = run.report  # read while it is there
            scored_on = backbone.on(engine.ENGINES[name]() if name != AUTO else engine.pick())
            cache = FeatureCache(scored_on, Path(scratch) / "cache")
            swapped = SwappedValidation.read(held_out, cache)
            verdicts[name] = {
                split: _verdicts(run, found)
                for split, found in {
                    "validation": Features(held_out, cache).view(CLEAN),
                    "shifted": swapped.features.flatten(0, 1),
                    "test": Features(cohort.test, cache).view(CLEAN),
                }.items()
            }
    counts = {"training": len(training), "validation": len(held_out), "test": len(cohort.test)}
    differences: dict[str, dict[str, Any]] = {}
    for name, report in reports.items():
        differences[name] = {}
        for split in SPLITS:
            reference = reports[REFERENCE]["protocols"][split]["models"]
            models = report["protocols"][split]["models"]
            differences[name][split] = against(
                reference, models, verdicts[REFERENCE][split], verdicts[name][split]
            )
    return counts, differences


def _linked(root: Path, count: int | None, folder: Path) -> Path:
    """A folder that shows so many images of train/, of patients evenly spaced, and all of test/."""
    if count is None:
        return root
    cohort = data.load(str(root))
    patients = sorted({xray.patient for xray in cohort.train})
    wanted = round(len(patients) * count / len(cohort.train))
    chosen = {patients[place] for place in np.linspace(0, len(patients) - 1, wanted).astype(int)}
    for xray in cohort.images:
        if xray.name.startswith("test/") or xray.patient in chosen:
            (folder / xray.name).parent.mkdir(parents=True, exist_ok=True)
            (folder / xray.name).symlink_to(root / xray.name)
    return folder


def _train(name: str, root: Path, options: argparse.Namespace, scratch: Path) -> Snapshot:
    variables = {engine.VARIABLE: name, "FEDMED_CACHE": str(scratch / "cache")}
    command = [sys.executable, "train.py", "--data", str(root), "--backbone", options.backbone]
    command += ["--views", str(options.views), "--examples", "0", "--output", str(scratch / name)]
    environment = os.environ | variables
    subprocess.run(command, cwd=REPOSITORY, env=environment, check=True, stdout=sys.stderr)
    return Snapshot.open(scratch / name)


def _verdicts(snapshot: Snapshot, features: Tensor) -> np.ndarray:
    """Of every model on every image: [H, n]."""
    return probabilities(snapshot.heads(), features).numpy() >= 0.5


def against(
    reference: Mapping[str, Any],
    models: Mapping[str, Any],
    reference_verdicts: np.ndarray,
    verdicts: np.ndarray,
) -> dict[str, Any]:
    """How far the scores and the verdicts [H, n] of models are from those of the reference's."""

    def change(metric: str) -> np.ndarray:
        return np.array(
            [models[name][metric]["value"] - reference[name][metric]["value"] for name in reference]
        )

    moved = np.abs([change(metric) for metric in METRICS])
    return {
        "verdicts turned": int((reference_verdicts != verdicts).sum()),
        "of": int(verdicts.size),
        "metrics moved by 0.001": int((moved >= THIRD_DECIMAL).sum()),
        "of metrics": int(moved.size),
        "most by": float(moved.max()),
        "AUC, mean change": f"{change('auc').mean():+.4f}",
        "balanced accuracy, mean change": f"{change('balanced_accuracy').mean():+.4f}",
    }


if __name__ == "__main__":
    raise SystemExit(cli.run(main))

"""How much faster is train.py than the plain loop? `python -m benchmarks.pipeline --data DIR`.

- plain: every image is read again in every epoch; DataLoader, torchvision transforms, frozen
  ResNet18, Adam on the last layer. Measured on slices, multiplied by the passes that the same work
  takes without cached features: centralized, federated and local-only epochs, the validation after
  each round, and the evaluation of every model.
- floor: the passes through the backbone that train.py makes with an empty cache, and nothing else,
  at the best rate of the engine it runs on. Measured on slices too.
- ours: train.py in full, once with an empty cache and then with a filled one.

Slices of plain and floor take turns before, between and after the runs. Only ratios are meant to
be quoted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from benchmarks import measuring
from benchmarks.serving import REPOSITORY
from fedmed import cli
from fedmed.backbones.backbone import Backbone
from fedmed.backbones.weights import write_state
from fedmed.data.folder import read_folder
from fedmed.features.extract import BATCH
from fedmed.task import IMAGENET_MEAN, IMAGENET_STD

WORKERS = 2


class Run(NamedTuple):
    """One train.py."""

    seconds: float
    peak_gib: float
    report: dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipeline", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and test/")
    parser.add_argument("--slice", type=int, default=256, help="images of a slice (%(default)s)")
    parser.add_argument("--views", type=int, default=4, help="default: %(default)s")
    parser.add_argument(
        "--warm", type=int, default=3, help="runs with a filled cache (%(default)s)"
    )
    options = parser.parse_args()

    read_folder(options.data)
    backbone = _random_backbone()
    slices: list[dict[str, float]] = []

    def measure_slices() -> None:
        train, evaluate = plain_loop(options.data, options.slice)
        floor = bare_passes(backbone, 2 * options.slice)
        slices.append({"train": train, "evaluate": evaluate, "floor": floor})

    with tempfile.TemporaryDirectory() as scratch:
        write_state(backbone.state, backbone.origin, Path(scratch) / "backbone")
        measure_slices()
        cold = run(options.data, options.views, Path(scratch))
        measure_slices()
        warm = [run(options.data, options.views, Path(scratch)) for _ in range(options.warm)]
        measure_slices()
    result = summary(slices, cold, sorted(warm)[len(warm) // 2])
    print(measuring.table(rows(result)))
    print(f"written to {measuring.write('pipeline', result)}")


def summary(slices: list[dict[str, float]], cold: Run, warm: Run) -> dict[str, Any]:
    """Seconds of a whole run each way, and their ratios."""
    speed = {name: statistics.median(one[name] for one in slices) for name in slices[0]}
    training, evaluation = plain_passes(cold.report)
    plain = training / speed["train"] + evaluation / speed["evaluate"]
    floor = cold.report["timing"]["backbone_passes"] / speed["floor"]
    return {
        "engine": cold.report["environment"]["engine"],
        "images_per_second": speed,
        "passes": {
            "train": training,
            "evaluate": evaluation,
            "floor": cold.report["timing"]["backbone_passes"],
        },
        "seconds": {
            "plain": plain,
            "floor": floor,
            "cold": cold.seconds,
            "warm": warm.seconds,
        },
        "times_faster": {"cold": plain / cold.seconds, "warm": plain / warm.seconds},
        "cold_over_floor": cold.seconds / floor,
        "parts": {"cold": cold.report["timing"], "warm": warm.report["timing"]},
        "peak_memory_gib": max(cold.peak_gib, warm.peak_gib),
    }


def rows(result: dict[str, Any]) -> list[dict[str, object]]:
    seconds = result["seconds"]
    return [
        {
            "full run": name,
            "seconds": taken,
            "times faster than plain": seconds["plain"] / taken,
            "over floor": taken / seconds["floor"],
            **{part: result["parts"].get(name, {}).get(part) for part in result["parts"]["warm"]},
        }
        for name, taken in seconds.items()
    ]


def run(root: Path, views: int, scratch: Path) -> Run:
    """train.py as a process of its own, and the most memory that it held."""
    command = [sys.executable, "train.py", "--data", str(root.absolute())]
    command += ["--backbone", str(scratch / "backbone"), "--output", str(scratch / "snapshot")]
    command += ["--views", str(views)]
    environment = os.environ | {"FEDMED_CACHE": str(scratch / "cache")}
    started = time.monotonic()
    process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=sys.stderr)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    report = json.loads((scratch / "snapshot" / "evaluation.json").read_text(encoding="utf-8"))
    return Run(seconds, used.ru_maxrss / 2**20, report)


def bare_passes(backbone: Backbone, count: int) -> float:
    """Images per second of the engine alone: all cores on a batch or one on each, if faster."""
    cores = torch.get_num_threads()
    inputs = torch.randn(2 * BATCH, 3, 224, 224)
    together = backbone.shared_by(cores)
    speeds = []
    with ThreadPoolExecutor(cores, initializer=lambda: torch.set_num_threads(1)) as pool:
        for work, images in (
            (lambda jobs: [backbone.features(job) for job in jobs], inputs),
            (lambda jobs: list(pool.map(together.features, jobs)), inputs[:BATCH]),
        ):
            work([images] * cores)  # memory and code
            jobs = [images] * max(cores, count // len(images))
            started = time.monotonic()
            work(jobs)
            speeds.append(len(jobs) * len(images) / (time.monotonic() - started))
    return max(speeds)


def plain_passes(report: dict) -> tuple[int, int]:
    """Images through the network in training and in evaluation, without cached features.

    One federation is counted, although train.py runs three (FP32, FP16, INT8).
    """
    recipe = report["recipe"]
    training = sum(report["data"]["training"]["images"].values())
    federated = recipe["rounds"] * recipe["local_epochs"]
    held_out, official = (report["protocols"][name]["n"] for name in ("validation", "test"))
    models = 2 + 2 * recipe["hospitals"]  # central, federated, local and local-only
    evaluation = recipe["rounds"] * held_out + models * (held_out + official)
    return training * (recipe["epochs"] + 2 * federated), evaluation


def plain_loop(root: Path, count: int) -> tuple[float, float]:
    """Images per second of the plain loop, training and evaluating."""
    from torchvision import datasets, transforms
    from torchvision.models import resnet18

    tail = [transforms.ToTensor(), transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)]
    augment = [transforms.RandomHorizontalFlip(), transforms.RandomRotation(10)]
    resize: list = [transforms.Resize((224, 224))]
    network = resnet18()
    network.fc = nn.Linear(512, 2)
    network.requires_grad_(False).eval()
    network.fc.requires_grad_(True)
    optimizer = torch.optim.Adam(network.fc.parameters(), lr=1e-3)
    speeds = []
    for steps in (resize + augment + tail, resize + tail):
        images = datasets.ImageFolder(str(root / "train"), transforms.Compose(steps))
        chosen = torch.utils.data.Subset(
            images, range(0, len(images), len(images) // count)[:count]
        )
        loader = torch.utils.data.DataLoader(chosen, batch_size=64, num_workers=WORKERS)
        training, started = steps[1] is augment[0], time.monotonic()
        for inputs, targets in loader:
            with torch.set_grad_enabled(training):
                loss = nn.functional.cross_entropy(network(inputs), targets)
            if training:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        speeds.append(len(chosen) / (time.monotonic() - started))
    return speeds[0], speeds[1]


def _random_backbone() -> Backbone:
    # Speed does not depend on the weights, and all train patients take part, as with ImageNet's.
    from torchvision.models import resnet18

    torch.manual_seed(0)
    return Backbone(resnet18().state_dict(), {"id": "random", "source": "benchmarks.pipeline"})


if __name__ == "__main__":
    raise SystemExit(cli.run(main))

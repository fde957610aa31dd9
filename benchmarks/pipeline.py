"""How much faster is train.py than the plain loop? `python -m benchmarks.pipeline --data DIR`.

The plain loop reads every image again in every epoch: DataLoader, torchvision transforms, frozen
ResNet18, Adam on the last layer. Its speed is measured on a slice and multiplied by the passes
that the same work takes without cached features: centralized, federated and local-only epochs, the
validation after each round, and the evaluation of every model. train.py runs in full, once with an
empty cache and once with a filled one, in the same process conditions. Only ratios are meant to be
quoted.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import nn

from fedmed import cli
from fedmed.backbone import Backbone, write_state
from fedmed.data.folder import read_folder
from fedmed.facts import IMAGENET_MEAN, IMAGENET_STD

REPOSITORY = Path(__file__).parent.parent
WORKERS = 2


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipeline", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and test/")
    parser.add_argument("--slice", type=int, default=512, help="images of the plain loop (512)")
    parser.add_argument("--views", type=int, default=4, help="default: %(default)s")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/pipeline.json"))
    options = parser.parse_args()

    read_folder(options.data)
    with tempfile.TemporaryDirectory() as scratch:
        backbone = Path(scratch) / "backbone"
        write_state(_random_backbone(), backbone)
        environment = os.environ | {"FEDMED_CACHE": f"{scratch}/cache"}
        command = [sys.executable, "train.py", "--data", str(options.data.absolute())]
        command += ["--backbone", str(backbone), "--output", f"{scratch}/snapshot"]
        command += ["--views", str(options.views)]
        seconds = []
        for _ in ("cold", "warm"):
            started = time.monotonic()
            subprocess.run(command, cwd=REPOSITORY, env=environment, check=True, stdout=sys.stderr)
            seconds.append(time.monotonic() - started)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        report = json.loads((Path(scratch) / "snapshot" / "evaluation.json").read_text())
    training_speed, evaluation_speed = plain_loop(options.data, options.slice)
    training, evaluation = plain_passes(report)
    plain = training / training_speed + evaluation / evaluation_speed
    result = {
        "plain_loop_images_per_second": {"train": training_speed, "evaluate": evaluation_speed},
        "plain_loop_passes": {"train": training, "evaluate": evaluation},
        "plain_loop_seconds_extrapolated": plain,
        "train_py_seconds": {"cold": seconds[0], "warm": seconds[1]},
        "times_faster": {"cold": plain / seconds[0], "warm": plain / seconds[1]},
        "peak_memory_gib": peak,
    }
    print(json.dumps(result, indent=1))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


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

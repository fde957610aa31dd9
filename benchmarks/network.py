"""How much faster than a plain loop are networks trained? `python -m benchmarks.network`

The same steps of both: ResNet18 with its head, images drawn anew in every epoch, AdamW. The plain
loop is what a tutorial has: a DataLoader that opens each file with PIL, torchvision's transforms,
FP32, one process on all cores. Ours reads every file once, augments batches, and trains a hospital
on each core, in bf16 where the processor has it. `python -m benchmarks.network --data DIR`.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks import measuring
from fedmed import cli
from fedmed.backbones.backbone import load
from fedmed.backbones.engine import has_bf16
from fedmed.data.cohort import Xray
from fedmed.data.decoding import decode_all
from fedmed.data.folder import read_folder
from fedmed.experiment.prepare_network import shrink, start_of
from fedmed.training.network import PIXELS, ImageSite, Regime
from fedmed.training.network_trainer import NetworkTrainer, write_network
from fedmed.training.optimizer import Optimisation
from fedmed.training.tensors import repeat
from fedmed.training.workers import Workers

BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.network", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a data folder, as of train.py")
    parser.add_argument("--images", type=int, default=256, help="default: %(default)s")
    parser.add_argument("--size", type=int, default=128, help="default: %(default)s")
    parser.add_argument("--repeats", type=int, default=3, help="default: %(default)s")
    options = parser.parse_args()
    torch.manual_seed(0)
    every = read_folder(options.data).train
    xrays = every[:: max(1, len(every) // options.images)][: options.images]
    with tempfile.TemporaryDirectory() as folder, Workers(torch.get_num_threads()) as workers:
        ours = Ours(xrays, options.size, Path(folder), workers)
        plain = Plain(xrays, options.size)
        seconds = measuring.median_of(options.repeats, {"plain": plain.epoch, "ours": ours.epoch})
    speeds = {name: round(len(xrays) / taken, 1) for name, taken in seconds.items()}
    result = {
        "images": len(xrays),
        "size": options.size,
        "bf16": has_bf16(),
        "images_per_second": speeds,
        "times_faster": round(seconds["plain"] / seconds["ours"], 2),
    }
    print(measuring.table([{"loop": n, "images/s": s} for n, s in speeds.items()]))
    print(f"{result['times_faster']} times as fast")
    print(f"written to {measuring.write('network', result)}")


class Ours:
    """As a run trains: as many hospitals of the same size as cores, side by side."""

    def __init__(self, xrays: Sequence[Xray], size: int, folder: Path, workers: Workers) -> None:
        cores = torch.get_num_threads()
        file = folder / "pixels.safetensors"
        save_file({PIXELS: shrink(decode_all(xrays), size)}, file)
        labels = torch.tensor([xray.label for xray in xrays])
        self._sites = []
        for core in range(cores):
            rows = np.arange(core, len(xrays), cores)
            digests = tuple(xrays[row].digest for row in rows.tolist())
            self._sites.append(ImageSite(f"h{core}", labels[rows], digests, file, rows))
        start = start_of(load("imagenet"))
        base = folder / "start.safetensors"
        write_network(base, start)
        regime = Regime(size=size, total_epochs=15, bf16=has_bf16())
        self._start = repeat(start, cores)
        self._trainer = NetworkTrainer(workers, folder, "federated", regime, base)
        self._number = 0

    def epoch(self) -> None:
        """Train every hospital for one epoch, and read what it made."""
        epochs = range(self._number % 15, self._number % 15 + 1)
        self._number += 1
        for site in self._sites:
            self._trainer.kept(site.name, epochs.stop).unlink(missing_ok=True)
        self._trainer(self._start, self._sites, epochs, Optimisation(3e-4, BATCH), seed=0)


class Files(Dataset[Any]):
    """X-rays as a tutorial reads them: opened and transformed anew each time."""

    def __init__(self, xrays: Sequence[Xray], size: int) -> None:
        from torchvision import transforms

        self._xrays = xrays
        self._transform = transforms.Compose(
            [
                transforms.Resize((size, size)),
                transforms.RandomHorizontalFlip(),
                transforms.RandomAffine(10, translate=(0.05, 0.05), scale=(0.9, 1.5)),
                transforms.ColorJitter(brightness=0.15, contrast=0.4),
                transforms.ToTensor(),
                transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
            ]
        )

    def __len__(self) -> int:
        return len(self._xrays)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        xray = self._xrays[index]
        return self._transform(xray.load().convert("RGB")), xray.label


class Plain:
    """The loop of a tutorial."""

    def __init__(self, xrays: Sequence[Xray], size: int) -> None:
        from torchvision.models import resnet18

        self._network = resnet18(num_classes=2).train()
        self._adam = torch.optim.AdamW(self._network.parameters(), 3e-4, weight_decay=0.02)
        self._loader = DataLoader(Files(xrays, size), BATCH, shuffle=True)

    def epoch(self) -> None:
        """Train for one epoch."""
        for inputs, labels in self._loader:
            loss = torch.nn.functional.cross_entropy(self._network(inputs), labels)
            self._adam.zero_grad()
            loss.backward()
            self._adam.step()


if __name__ == "__main__":
    raise SystemExit(cli.run(main))

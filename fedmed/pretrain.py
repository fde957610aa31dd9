"""Make the bundled backbone: `python -m fedmed.pretrain --data DIR`.

A ResNet18 is trained from scratch on a public cohort: three in ten of the train patients
(fedmed.data.public_cohort) and simulated ones. Its classifier is thrown away; the rest is the
frozen backbone of everybody. Images grow from stage to stage, and every image is degraded as in
`fedmed.preprocessing.degrade`, so that sharpness, compression and markers are of no use to it.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from fedmed import cli
from fedmed.backbone import Backbone, write_state
from fedmed.data.cohort import Xray
from fedmed.data.folder import read_folder
from fedmed.data.public_cohort import public_patients
from fedmed.data.simulated import PUBLIC_LAST, simulated_xrays
from fedmed.errors import UserError
from fedmed.features import decode_all
from fedmed.preprocessing import DEGRADE_DRAWS, degrade, to_grey, to_input

ORIGIN_ID = "fedmed-resnet18-public-cohort"


@dataclass(frozen=True)
class Stage:
    """`epochs` passes over images of `size` x `size` pixels."""

    size: int
    epochs: int


@dataclass(frozen=True)
class Cycle:
    """Stages under one rise and fall of the learning rate."""

    max_learning_rate: float
    batch_size: int
    stages: tuple[Stage, ...]

    @property
    def sizes(self) -> list[int]:
        """The size of the images in each epoch."""
        return [stage.size for stage in self.stages for _ in range(stage.epochs)]


# The second cycle is there because four epochs at the end of the first were too few for the
# network to get used to full-size images.
CYCLES = (
    Cycle(2e-3, 64, (Stage(96, 18), Stage(128, 16), Stage(224, 4))),
    Cycle(1e-3, 32, (Stage(224, 6),)),
)
WEIGHT_DECAY, SMOOTHING = 0.02, 0.05


def main() -> None:
    options = _parse()
    xrays = public_xrays(options.data, options.simulated)
    try:
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--output {options.output} cannot be made ({error}).") from error
    print(f"Public cohort: {len(xrays)} images, {options.simulated} of them simulated")
    pixels = decode_all(xrays)
    labels = torch.tensor([xray.label for xray in xrays])
    state = pretrain(pixels, labels, CYCLES, seed=options.seed, resume=options.output)
    origin = {
        "id": ORIGIN_ID,
        "public_cohort": True,
        "recipe": "robust",
        "source": (
            "python -m fedmed.pretrain: a ResNet18 trained from scratch on "
            f"{len(xrays) - options.simulated} X-rays of the public cohort and "
            f"{options.simulated} simulated ones"
        ),
    }
    backbone = Backbone(state, origin)
    for old in options.output.glob("backbone*"):
        old.unlink()
    write_state(backbone, options.output)
    _progress_file(options.output).unlink(missing_ok=True)
    print(f"Wrote {options.output}/backbone*.safetensors, sha256 {backbone.sha256[:16]}")
    print(f"Train on it with: python train.py --backbone {options.output} --data ...")


def public_xrays(data: Path, simulated: int) -> list[Xray]:
    """The public cohort's X-rays in a data folder, and `simulated` ones, as one list."""
    public = public_patients()
    real = [xray for xray in read_folder(data).train if xray.patient in public]
    if not real:
        raise UserError(
            f"--data {data} holds no patient of the public cohort. It needs the public data set's "
            "file names, such as person12_virus_46.jpeg."
        )
    return real + simulated_xrays("public", 0, simulated)


def pretrain(
    pixels: np.ndarray,
    labels: Tensor,
    cycles: Sequence[Cycle],
    *,
    seed: int,
    resume: Path | None = None,
) -> dict[str, Tensor]:
    """Train a ResNet18 from scratch and return its state, on uint8 pixels [n, 224, 224].

    AdamW; classes weigh the same. With `resume`, a folder that exists, progress is kept there
    after every epoch and picked up again.

    Raises:
        UserError: too few images, or what is in `resume` is damaged or of another run.
    """
    from torchvision.models import resnet18

    torch.manual_seed(seed)
    network = resnet18(num_classes=2).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=WEIGHT_DECAY, fused=True)
    largest = max(cycle.batch_size for cycle in cycles)
    if len(labels) < largest:
        raise UserError(f"{len(labels)} images are too few: a step takes {largest}.")
    weights = len(labels) / (2.0 * torch.bincount(labels, minlength=2).float())
    identity = {"seed": seed, "images": len(labels)}
    epoch, done = 0, _restore(network, optimizer, resume, identity)
    grey, size_now = to_grey(pixels), 0
    for cycle in cycles:
        steps = len(labels) // cycle.batch_size
        for place, size in enumerate(cycle.sizes):
            epoch += 1
            if epoch <= done:
                continue
            if size != size_now:
                images = F.interpolate(grey, size, mode="bilinear", antialias=True)
                size_now = size
            started, loss_sum, right = time.monotonic(), 0.0, 0
            batches = _batches(images, labels, cycle.batch_size, seed=seed + epoch)
            bar = tqdm(batches, total=steps, disable=None, leave=False)
            for step, (inputs, targets) in enumerate(bar, start=place * steps):
                factor = one_cycle(step / (steps * len(cycle.sizes)))
                for group in optimizer.param_groups:
                    group["lr"] = cycle.max_learning_rate * factor
                logits = network(inputs)
                loss = F.cross_entropy(logits, targets, weights, label_smoothing=SMOOTHING)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                loss_sum += loss.item()
                right += int((logits.argmax(1) == targets).sum())
            print(
                f"epoch {epoch:3d}  {size} px  loss {loss_sum / steps:.3f}  "
                f"degraded training images right {right / (steps * cycle.batch_size):.3f}  "
                f"{time.monotonic() - started:.0f} s",
                flush=True,
            )
            _keep(network, optimizer, epoch, resume, identity)
    return network.state_dict()


def one_cycle(progress: float, warm_up: float = 0.2) -> float:
    """The learning rate's factor at `progress` in 0..1: up linearly, then down along a cosine."""
    if progress < warm_up:
        return 0.05 + 0.95 * progress / warm_up
    return 0.5 * (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up)))


def _batches(
    grey: Tensor, labels: Tensor, size: int, *, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(labels), generator=generator)
    for start in range(0, len(order) - size + 1, size):
        chosen = order[start : start + size]
        images = grey[chosen]
        draws = torch.rand(len(chosen), DEGRADE_DRAWS, generator=generator)
        noise = torch.randn(images.shape, generator=generator)
        yield to_input(degrade(images, draws, noise)), labels[chosen]


def _progress_file(folder: Path) -> Path:
    return folder / "pretrain.partial.safetensors"


def _keep(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    epoch: int,
    folder: Path | None,
    identity: dict[str, int],
) -> None:
    """Write weights and AdamW's moments aside, then in place."""
    from safetensors.torch import save_file

    if folder is None:
        return
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    for name, parameter in network.named_parameters():
        for key, value in optimizer.state[parameter].items():
            tensors[f"{key}.{name}"] = value
    aside = _progress_file(folder).with_suffix(".tmp")
    contiguous = {name: value.contiguous() for name, value in tensors.items()}
    save_file(contiguous, aside, {"progress": json.dumps({"epoch": epoch} | identity)})
    aside.replace(_progress_file(folder))


def _restore(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    folder: Path | None,
    identity: dict[str, int],
) -> int:
    """Load what `_keep` wrote; returns the number of epochs done, 0 where there is nothing."""
    from safetensors import SafetensorError, safe_open

    if folder is None or not _progress_file(folder).exists():
        return 0
    try:
        with safe_open(_progress_file(folder), framework="pt") as opened:
            progress = json.loads(opened.metadata()["progress"])
            tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, TypeError, KeyError, ValueError) as error:
        raise UserError(
            f"{_progress_file(folder)} cannot be read ({error}); delete it to start anew."
        ) from error
    if identity != {name: progress.get(name, identity[name]) for name in identity}:
        raise UserError(
            f"{_progress_file(folder)} belongs to a run with another --seed or other images: "
            "repeat its options, or delete the file to start anew."
        )
    prefix = "network."
    network.load_state_dict(
        {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}
    )
    for name, parameter in network.named_parameters():
        # The fused kernel walks weights and moments in memory order, so both need one layout.
        moments = {
            key: torch.empty_like(parameter).copy_(tensors[f"{key}.{name}"])
            for key in ("exp_avg", "exp_avg_sq")
        }
        optimizer.state[parameter] = {"step": tensors[f"step.{name}"], **moments}
    print(f"Going on after epoch {progress['epoch']}")
    return int(progress["epoch"])


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m fedmed.pretrain",
        description="Make the bundled backbone: a ResNet18 trained from scratch on the public "
        "cohort (three in ten of the train patients) and on simulated radiographs. Stopped "
        "anywhere, the same command goes on after the last epoch.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="folder with the public data set"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("build/backbone"),
        metavar="DIR",
        help="folder for the backbone (default: %(default)s)",
    )
    parser.add_argument(
        "--simulated",
        type=int,
        default=400,
        metavar="N",
        help="simulated images added (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=42, metavar="N", help="of every draw (default: %(default)s)"
    )
    options = parser.parse_args()
    if not 0 <= options.simulated <= PUBLIC_LAST:
        parser.error(f"--simulated takes 0 to {PUBLIC_LAST}")
    if options.seed < 0:
        parser.error("--seed takes a whole number from 0")
    return options


if __name__ == "__main__":
    raise SystemExit(cli.run(main, resume_hint="The same command goes on after the last epoch."))

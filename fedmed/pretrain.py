"""Make the bundled backbone: `python -m fedmed.pretrain --data DIR`.

A ResNet18 is trained from scratch on a public cohort: three in ten of the train patients
(fedmed.data.public_cohort) and simulated ones. Its classifier is thrown away; the rest is the
frozen backbone of everybody. Images grow from stage to stage, and every image is degraded as in
`fedmed.preprocessing.degrade`, so that sharpness, compression and markers are of no use to it.
An epoch shows every real image and a fresh draw of the simulated ones, a quarter as many.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
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
from fedmed.data.patients import public_patient
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


# A dozen epochs at full size: with four the network had not got used to it.
STAGES = (Stage(96, 16), Stage(128, 28), Stage(224, 12))
MAX_LEARNING_RATE, WEIGHT_DECAY, SMOOTHING = 2e-3, 0.02, 0.05
BATCH = 64
SIMULATED_SHARE = 1 / 4  # of the real images, in each epoch


def main() -> None:
    options = _parse()
    xrays = public_xrays(options.data, options.simulated)
    try:
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--output {options.output} cannot be made ({error}).") from error
    if folders := [path for path in _files_of_before(options.output) if path.is_dir()]:
        raise UserError(f"--output {options.output}: {folders[0].name} is a folder; move it.")
    print(f"Public cohort: {len(xrays)} images, {options.simulated} of them simulated")
    pixels = decode_all(xrays)
    labels = torch.tensor([xray.label for xray in xrays])
    state = pretrain(
        pixels,
        labels,
        STAGES,
        simulated=options.simulated,
        precision=options.precision,
        batch_size=BATCH,
        seed=options.seed,
        resume=options.output,
    )
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
    for old in _files_of_before(options.output):
        old.unlink()
    write_state(backbone, options.output)
    _progress_file(options.output).unlink(missing_ok=True)
    print(f"Wrote {options.output}/backbone*.safetensors, sha256 {backbone.sha256[:16]}")
    print(f"Train on it with: python train.py --backbone {options.output} --data ...")


def public_xrays(data: Path, simulated: int) -> list[Xray]:
    """The public cohort's X-rays in a data folder, and `simulated` ones, as one list."""
    public = public_patients()
    real = [
        replace(xray, patient=patient)
        for xray in read_folder(data).train
        if (patient := public_patient(xray.name)) in public and patient
    ]
    if not real:
        raise UserError(
            f"--data {data} holds no patient of the public cohort. It needs the public data set's "
            "file names, such as person12_virus_46.jpeg."
        )
    return real + simulated_xrays("public", 0, simulated)


def pretrain(
    pixels: np.ndarray,
    labels: Tensor,
    stages: Sequence[Stage],
    *,
    seed: int,
    simulated: int = 0,
    precision: str = "fp32",
    batch_size: int,
    resume: Path | None = None,
) -> dict[str, Tensor]:
    """Train a ResNet18 from scratch and return its state, on uint8 pixels [n, 224, 224].

    The last `simulated` images are the simulated ones. AdamW under one rise and fall of the
    learning rate; classes weigh the same. `precision` is `fp32` or `bf16` (autocast). With
    `resume`, a folder that exists, progress is kept there after every epoch and picked up again.

    Raises:
        UserError: too few images, or what is in `resume` is damaged or of another run.
    """
    from torchvision.models import resnet18

    torch.manual_seed(seed)
    network = resnet18(num_classes=2).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=WEIGHT_DECAY, fused=True)
    real = len(labels) - simulated
    drawn = min(simulated, round(real * SIMULATED_SHARE)) if real else simulated
    steps = (real + drawn) // batch_size
    if not steps:
        raise UserError(f"{real + drawn} images are too few: a step takes {batch_size}.")
    # Simulated patients alternate between the classes, so the first ones stand for any draw.
    weights = (real + drawn) / (2.0 * torch.bincount(labels[: real + drawn], minlength=2).float())
    identity: dict[str, int | str] = {"seed": seed, "images": len(labels), "precision": precision}
    done = _restore(network, optimizer, resume, identity)
    sizes = [stage.size for stage in stages for _ in range(stage.epochs)]
    grey, size_now = to_grey(pixels), 0
    for epoch, size in enumerate(sizes[done:], start=done + 1):
        if size != size_now:
            images, size_now = F.interpolate(grey, size, mode="bilinear", antialias=True), size
        started, loss_sum, right = time.monotonic(), 0.0, 0
        generator = torch.Generator().manual_seed(seed + epoch)
        order = _order(real, simulated, drawn, generator)
        batches = _batches(images, labels, order, batch_size, generator)
        bar = tqdm(batches, total=steps, disable=None, leave=False)
        for step, (inputs, targets) in enumerate(bar, start=(epoch - 1) * steps):
            factor = one_cycle(step / (steps * len(sizes)))
            for group in optimizer.param_groups:
                group["lr"] = MAX_LEARNING_RATE * factor
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                logits = network(inputs).float()
            loss = F.cross_entropy(logits, targets, weights, label_smoothing=SMOOTHING)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss_sum += loss.item()
            right += int((logits.argmax(1) == targets).sum())
        print(
            f"epoch {epoch:3d}  {size} px  loss {loss_sum / steps:.3f}  "
            f"degraded training images right {right / (steps * batch_size):.3f}  "
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


def _order(real: int, simulated: int, drawn: int, generator: torch.Generator) -> Tensor:
    """An epoch's images: every real one and `drawn` of the simulated, shuffled together."""
    some = real + torch.randperm(simulated, generator=generator)[:drawn]
    chosen = torch.cat([torch.arange(real), some])
    return chosen[torch.randperm(len(chosen), generator=generator)]


def _batches(
    grey: Tensor, labels: Tensor, order: Tensor, size: int, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(0, len(order) - size + 1, size):
        chosen = order[start : start + size]
        images = grey[chosen]
        draws = torch.rand(len(chosen), DEGRADE_DRAWS, generator=generator)
        noise = torch.randn(images.shape, generator=generator)
        yield to_input(degrade(images, draws, noise)), labels[chosen]


def _files_of_before(folder: Path) -> list[Path]:
    """What the backbone that is written replaces."""
    return sorted(folder.glob("backbone*.safetensors*"))


def _progress_file(folder: Path) -> Path:
    return folder / "pretrain.partial.safetensors"


def _keep(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    epoch: int,
    folder: Path | None,
    identity: dict[str, int | str],
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
    identity: dict[str, int | str],
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
            f"{_progress_file(folder)} belongs to a run with another --seed or --precision, or of "
            "other images: repeat its options, or delete the file to start anew."
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
        default=1500,
        metavar="N",
        help="simulated images to draw from (default: %(default)s)",
    )
    parser.add_argument(
        "--precision",
        choices=("bf16", "fp32"),
        default="bf16",
        help="bf16 halves the time where the CPU has it (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=42, metavar="N", help="of every draw (default: %(default)s)"
    )
    options = parser.parse_args()
    if not 0 <= options.simulated <= PUBLIC_LAST:
        parser.error(f"--simulated takes 0 to {PUBLIC_LAST}")
    if not 0 <= options.seed < 2**31:
        parser.error(f"--seed takes a whole number from 0 to {2**31 - 1}")
    return options


if __name__ == "__main__":
    raise SystemExit(cli.run(main, resume_hint="The same command goes on after the last epoch."))

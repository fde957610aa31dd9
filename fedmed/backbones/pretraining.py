"""The bundled backbone trained from scratch, on a public cohort and simulated X-rays."""

from __future__ import annotations

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

from fedmed.data.cohort import Xray
from fedmed.data.folder import read_folder
from fedmed.data.patients import public_patient
from fedmed.data.public_cohort import public_patients
from fedmed.data.simulated import simulated_xrays
from fedmed.errors import UserError
from fedmed.imaging.augmentation import DEGRADE_DRAWS, degrade
from fedmed.imaging.preprocessing import to_grey, to_input


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


def progress_file(folder: Path) -> Path:
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
    aside = progress_file(folder).with_suffix(".tmp")
    contiguous = {name: value.contiguous() for name, value in tensors.items()}
    save_file(contiguous, aside, {"progress": json.dumps({"epoch": epoch} | identity)})
    aside.replace(progress_file(folder))


def _restore(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    folder: Path | None,
    identity: dict[str, int | str],
) -> int:
    """Load what `_keep` wrote; returns the number of epochs done, 0 where there is nothing."""
    from safetensors import SafetensorError, safe_open

    if folder is None or not progress_file(folder).exists():
        return 0
    try:
        with safe_open(progress_file(folder), framework="pt") as opened:
            progress = json.loads(opened.metadata()["progress"])
            tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, TypeError, KeyError, ValueError) as error:
        raise UserError(
            f"{progress_file(folder)} cannot be read ({error}); delete it to start anew."
        ) from error
    if identity != {name: progress.get(name, identity[name]) for name in identity}:
        raise UserError(
            f"{progress_file(folder)} belongs to a run with another --seed or --precision, or of "
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

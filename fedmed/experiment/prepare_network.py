"""The first step of a run that trains networks: X-rays in, patients held out, hospitals dealt.

There are no features before a network is trained. All pictures are read once, and those to train on
made as small as the network's input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from fedmed import data
from fedmed.backbones.backbone import Backbone
from fedmed.backbones.backbone import load as load_backbone
from fedmed.backbones.engine import pick_device
from fedmed.data import films
from fedmed.data.audit import audit, words
from fedmed.data.cohort import Cohort, Xray, count, labels, patients
from fedmed.data.decoding import decode_all
from fedmed.data.holdout import hold_out
from fedmed.data.partition import split
from fedmed.experiment.run_state import RunState
from fedmed.experiment.settings import Settings
from fedmed.experiment.timing import Stopwatch
from fedmed.files import write_atomically
from fedmed.imaging.preprocessing import resize, to_grey
from fedmed.training.network import PIXELS, ImageSite, Regime
from fedmed.training.recipe import Recipe, pick_recipe

SOME = 256  # images that are made smaller or measured at once


@dataclass(frozen=True)
class PreparedNetwork:
    """All that training networks and scoring them read."""

    backbone: Backbone  # that training starts from
    recipe: Recipe
    regime: Regime
    cohort: Cohort
    training: Sequence[Xray]
    held_out: Sequence[Xray]
    parts: Sequence[np.ndarray]  # of each hospital, its places in `training`
    audit: dict[str, Any]  # the report's `data`
    pixels: np.ndarray  # uint8 [n, 224, 224] of `read`
    read: Sequence[Xray]  # training, held out and test, in this order
    everything: ImageSite
    hospitals: Sequence[ImageSite]
    state: RunState

    @property
    def sites(self) -> list[str]:
        """The hospitals' names, in their order."""
        return [hospital.name for hospital in self.hospitals]


def prepare_network(settings: Settings, watch: Stopwatch) -> PreparedNetwork:
    """Read the X-rays, hold patients out, deal the others to hospitals, write their pixels down.

    Raises:
        UserError: an option, a file or what an unfinished run left is not what it should be.
    """
    device = pick_device(settings.device)
    backbone = load_backbone(settings.backbone)
    recipe = pick_recipe(settings.recipe)
    recipe = replace(
        recipe,
        clean=False,
        description="every image drawn anew in every epoch: "
        + recipe.description.removeprefix("clean views alternating with "),
    )
    regime = Regime(
        size=settings.size,
        total_epochs=settings.rounds * settings.local_epochs,
        view=recipe.augmented[0],
        batch_norm=settings.batch_norm,  # type: ignore[arg-type]
        bf16=has_bf16(device),
        device=device,
    )
    cohort = data.load(
        settings.data,
        patients=settings.patients,
        classes=settings.classes,
        allow_overlap=settings.allow_overlap,
    )
    audited = audit(cohort)
    print(*words(cohort, audited, backbone.knows(cohort.about["title"])), sep="\n", flush=True)
    training, held_out = hold_out(cohort.train, seed=settings.seed)
    audited |= {
        "public_cohort": None,  # which older readers ask for
        "held_out": count(held_out),
        "training": count(training),
    }
    parts = split(
        patients(training),
        labels(training),
        hospitals=settings.hospitals,
        scheme=settings.partition,
        alpha=settings.alpha,
        seed=settings.seed,
    )
    state = RunState(settings, backbone.sha256, cohort.images, f"{device} bf16={regime.bf16}")
    watch.lap("data")
    read = [*training, *held_out, *cohort.test]
    pixels = decode_all(read)
    audited["films"] = films.judge([xray.name for xray in read], _measured(pixels))
    for line in films.words(audited["films"]):
        print(line, flush=True)
    state.begin()
    file = state.folder / "pixels.safetensors"
    small = shrink(pixels[: len(training)], settings.size)
    write_atomically(file, save({PIXELS: small}))
    watch.lap("pixels")

    def site(name: str, rows: np.ndarray) -> ImageSite:
        some = [training[row] for row in rows]
        return ImageSite(
            name,
            torch.tensor(labels(some)),
            tuple(xray.digest for xray in some),
            file,
            rows,
        )

    return PreparedNetwork(
        backbone=backbone,
        recipe=recipe,
        regime=regime,
        cohort=cohort,
        training=training,
        held_out=held_out,
        parts=parts,
        audit=audited,
        pixels=pixels,
        read=read,
        everything=site("central", np.arange(len(training))),
        hospitals=[site(f"hospital_{k}", np.asarray(part)) for k, part in enumerate(parts, 1)],
        state=state,
    )


def start_of(backbone: Backbone) -> dict[str, Tensor]:
    """Return the network that training starts from: the backbone, and a head of zeros."""
    from fedmed.training.heads import new_heads

    head = new_heads(1, backbone.width)
    return {**backbone.state, "fc.weight": head.weight[0], "fc.bias": head.bias[0]}


def shrink(pixels: np.ndarray, size: int) -> Tensor:
    """uint8 [n, 224, 224] to uint8 [n, size, size]."""
    small = torch.empty(len(pixels), size, size, dtype=torch.uint8)
    for first in range(0, len(pixels), SOME):
        some = resize(to_grey(pixels[first : first + SOME]), size)[:, 0]
        small[first : first + SOME] = (some * 255).round_().clamp_(0, 255)
    return small


def has_bf16(device: str) -> bool:
    """Tell whether a device multiplies bf16 itself; without, PyTorch would imitate it, slowly."""
    if device != "cpu":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    able = torch.cpu.get_capabilities()
    return bool(able.get("amx_bf16") or able.get("avx512_bf16"))


def _measured(pixels: np.ndarray) -> np.ndarray:
    firsts = range(0, len(pixels), SOME)
    return np.concatenate([films.measure(pixels[first : first + SOME]) for first in firsts])

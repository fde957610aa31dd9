"""The first step of a run that trains networks: X-rays in, patients held out, hospitals dealt.

There are no features before a network is trained. All pictures are read once, and those to train on
made as small as the network's input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from fedmed.backbones.backbone import Backbone
from fedmed.backbones.backbone import load as load_backbone
from fedmed.backbones.engine import has_bf16, pick_device
from fedmed.data import films
from fedmed.data.cohort import labels
from fedmed.data.decoding import decode_all, put_aside
from fedmed.experiment.deal import Dealt, deal
from fedmed.experiment.run_state import RunState
from fedmed.experiment.settings import Settings
from fedmed.experiment.timing import Stopwatch
from fedmed.files import write_atomically
from fedmed.imaging.preprocessing import resize, to_grey
from fedmed.progress import say
from fedmed.training.heads import new_heads
from fedmed.training.network import PIXELS, ImageSite, Regime
from fedmed.training.recipe import Recipe, pick_recipe

SOME = 256  # images that are made smaller or measured at once


@dataclass(frozen=True)
class PreparedNetwork(Dealt):
    """All that training networks and scoring them read."""

    backbone: Backbone  # that training starts from
    recipe: Recipe
    regime: Regime
    pixels: np.ndarray  # uint8 [n, 224, 224] of `read`
    everything: ImageSite
    hospitals: Sequence[ImageSite]
    state: RunState


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
        + recipe.description.removeprefix("clean views alternating with ").replace(
            "classes weigh the same", "both classes drawn equally often"
        ),
    )
    regime = Regime(
        size=settings.size,
        total_epochs=settings.rounds * settings.local_epochs,
        view=recipe.augmented[0],
        batch_norm=settings.batch_norm,  # type: ignore[arg-type]
        balanced=recipe.balanced,
        bf16=has_bf16(device) and not settings.deterministic,
        device=device,
    )
    dealt = deal(settings, backbone)
    training = dealt.training
    precision = "bf16" if regime.bf16 else "FP32"
    state = RunState(settings, backbone.sha256, dealt.cohort.images, f"{device} {precision}")
    watch.lap("data")
    pixels = decode_all(dealt.read)
    dealt.judge_films(measured(pixels))
    state.begin()
    folder = state.networks()
    if settings.resume:
        kept = len(list(folder.glob("*-*-*.safetensors")))
        watch.kept = kept
        say(f"Kept from before: {kept} trainings." if kept else state.words(0, 0))
    file = folder / "pixels.safetensors"
    small = shrink(pixels[: len(training)], settings.size)
    write_atomically(file, save({PIXELS: small}))
    put_aside(pixels)  # until networks are scored
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
        **vars(dealt),
        backbone=backbone,
        recipe=recipe,
        regime=regime,
        pixels=pixels,
        everything=site("central", np.arange(len(training))),
        hospitals=[
            site(name, np.asarray(part))
            for name, part in zip(dealt.sites, dealt.parts, strict=True)
        ],
        state=state,
    )


def start_of(backbone: Backbone) -> dict[str, Tensor]:
    """Return the network that training starts from: the backbone, and a head of zeros."""
    head = new_heads(1, backbone.width)
    return {**backbone.state, "fc.weight": head.weight[0], "fc.bias": head.bias[0]}


def shrink(pixels: np.ndarray, size: int) -> Tensor:
    """uint8 [n, 224, 224] to uint8 [n, size, size]."""
    small = torch.empty(len(pixels), size, size, dtype=torch.uint8)
    for first in range(0, len(pixels), SOME):
        some = resize(to_grey(pixels[first : first + SOME]), size)[:, 0]
        small[first : first + SOME] = (some * 255).round_().clamp_(0, 255)
    return small


def measured(pixels: np.ndarray) -> np.ndarray:
    """What `films.measure` makes of uint8 [n, 224, 224], some of them at once."""
    firsts = range(0, len(pixels), SOME)
    return np.concatenate([films.measure(pixels[first : first + SOME]) for first in firsts])

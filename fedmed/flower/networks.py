"""Whole networks between machines: what travels, what stays at a hospital, how it trains there."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from fedmed.backbones import network_files
from fedmed.backbones.backbone import Backbone
from fedmed.backbones.engine import has_bf16
from fedmed.backbones.network_files import TRUNK, About
from fedmed.backbones.quantized import decode, encode
from fedmed.experiment.prepare_network import start_of
from fedmed.federated.algorithm import Round
from fedmed.flower.terms import Terms
from fedmed.progress import say
from fedmed.snapshot.reader import write_head
from fedmed.training.heads import Heads, new_heads
from fedmed.training.local_training import Site
from fedmed.training.network import ImageSite, Regime, norm_names
from fedmed.training.network_trainer import NetworkTrainer, Said, read_network, write_network
from fedmed.training.recipe import RECIPES
from fedmed.training.tensors import Tensors, digest, group, pick, under
from fedmed.training.workers import Here

MODEL = "federated"
NORM = "norm"  # the group of what a hospital keeps of normalisation, where that stays at home
TELL_SECONDS = 60.0


def start(terms: Terms, backbone: Backbone) -> Tensors:
    """Return the model that training starts from: of a network, what of it travels."""
    if not terms.of_networks:
        return pick(new_heads(1, backbone.width).tensors(), 0)
    averaged = terms.batch_norm == "average"
    stays = norm_names()
    return {n: t for n, t in start_of(backbone).items() if averaged or n not in stays}


def whole(backbone: Backbone, model: Tensors, own: Tensors) -> Tensors:
    """Return a network: `model`, with what a hospital keeps of its own, on the backbone."""
    return start_of(backbone) | pick(group(own, NORM), 0) | model


def regime(terms: Terms) -> Regime:
    """Return how hospitals train networks."""
    return Regime(
        size=terms.size,
        total_epochs=terms.rounds * terms.local_epochs,
        view=RECIPES[terms.recipe].augmented[0],
        batch_norm=terms.batch_norm,  # type: ignore[arg-type]
        balanced=RECIPES[terms.recipe].balanced,
        bf16=has_bf16() and not terms.deterministic,
    )


@contextmanager
def training(
    terms: Terms,
    site: Site,
    backbone: Backbone,
    folder: Path,
    held: Tensors,
    own: Tensors,
    now: Round,
) -> Iterator[tuple[Round, Callable[[], Tensors]]]:
    """Give the round its trainer, and what tells after it what stays at home, [1, ...] each.

    `held` is what the hospital trains from and `own` what it kept. A network that was trained from
    the very same lies in `folder` yet, and is not trained again where a round is asked for anew.
    """
    if not isinstance(site, ImageSite):
        yield now, dict
        return
    base = start_of(backbone) | pick(group(own, NORM), 0)
    told = (digest(held), digest(base), now.number, now.optimisation.class_weights, site.digests)
    place = folder / hashlib.sha256(repr(told).encode()).hexdigest()[:16]
    for other in folder.glob("*"):
        if other != place:
            shutil.rmtree(other)
    place.mkdir(parents=True, exist_ok=True)
    write_network(place / "start.safetensors", base)
    trainer = NetworkTrainer(
        Here(_Told(now.epochs)), place, MODEL, regime(terms), place / "start.safetensors"
    )

    def stays() -> Tensors:
        if terms.batch_norm != "local":
            return {}
        network = read_network(trainer.kept(site.name, now.epochs.stop))
        return under(NORM, {norm: network[norm][None] for norm in norm_names()})

    yield replace(now, trainer=trainer), stays


class _Told:
    """Tells a hospital's log, once a minute, how far its training is."""

    def __init__(self, epochs: range) -> None:
        self._epochs = epochs
        self._last = time.monotonic()
        self._images = 0

    def __call__(self, said: Said) -> None:
        self._images += said.images
        if said.done or time.monotonic() - self._last >= TELL_SECONDS:
            self._last = time.monotonic()
            here = f"epoch {said.epoch - self._epochs.start} of {len(self._epochs)}"
            say(f"Training: {here}, {self._images:,} images seen.")


def write_model(folder: Path, terms: Terms, model: Tensors, backbone: Backbone) -> None:
    """Write what a run ends with: a head, or a network; none where each hospital has its own."""
    if not terms.of_networks:
        write_head(folder / f"{TRUNK}.safetensors", Heads.of(model), backbone)
    elif terms.batch_norm == "local":
        say("Normalisation stayed at the hospitals, so that each has a network of its own.")
    else:
        store(folder, whole(backbone, model, {}), backbone, terms.size)


def store(folder: Path, network: Tensors, backbone: Backbone, size: int) -> Tensors:
    """Write a network as a snapshot does, so that `--backbone FOLDER` reads it; return it as read.

    Raises:
        UserError: it is no ResNet18 of two classes.
    """
    stored = encode(network)
    about = About(MODEL, size, None, dict(backbone.origin))
    network_files.write(folder, TRUNK, stored, about)
    return decode(stored, None, MODEL)

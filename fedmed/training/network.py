"""A whole network trained on a hospital's X-rays: every weight of a ResNet18 and its head.

The network is a state of named float32 tensors under torchvision's names: what is learned, and
batch normalisation's statistics. One thread does it all, so the bits of a result depend on the
processor's kind and on nothing beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional

from fedmed.backbones.resnet18 import WIDTH, ResNet18
from fedmed.errors import UserError
from fedmed.imaging.augmentation import Kind, View, render
from fedmed.imaging.preprocessing import to_input
from fedmed.task import CLASSES
from fedmed.training.convolution import Convolution
from fedmed.training.draws import all_once, classes_equally
from fedmed.training.gradient import Gradient
from fedmed.training.local_training import one_thread
from fedmed.training.network_optimizer import AdamW
from fedmed.training.optimizer import Optimisation
from fedmed.training.tensors import Tensors

SMOOTHING = 0.05  # of the labels: no image is a certain case
WEIGHT_DECAY = 0.02
PIXELS = "pixels"  # the tensor's name in a file of pixels

BatchNorm = Literal["average", "local", "frozen"]


class Classifier(ResNet18):
    """A ResNet18 with its head: images [n, 3, h, w] to logits [n, 2]."""

    def __init__(self) -> None:
        super().__init__(Convolution)
        self.fc = nn.Linear(WIDTH, len(CLASSES))

    def forward(self, inputs: Tensor) -> Tensor:
        for layer in list(self.children())[:-1]:
            inputs = layer(inputs)
        logits: Tensor = self.fc(inputs.mean(dim=(2, 3)))
        return logits


def state_names() -> frozenset[str]:
    """The names of a network's tensors."""
    with torch.device("meta"):
        return frozenset(trained_state(Classifier()))


def norm_names() -> frozenset[str]:
    """The names of all that batch normalisation holds: scales, shifts and statistics."""
    with torch.device("meta"):
        modules = dict(Classifier().named_modules())
    return frozenset(
        f"{name}.{tensor}"
        for name, module in modules.items()
        if isinstance(module, nn.BatchNorm2d)
        for tensor in ("weight", "bias", "running_mean", "running_var")
    )


@dataclass(frozen=True)
class Regime:
    """How networks are trained in a run, the same everywhere."""

    size: int  # the side of the network's input, in pixels
    total_epochs: int  # of the whole run: the learning rate falls along a cosine to its end
    view: Kind = "degraded"  # drawn anew in every epoch
    batch_norm: BatchNorm = "average"  # frozen: its statistics, scales and shifts stay as they are
    balanced: bool = False  # both classes are drawn equally often; else they weigh in the loss
    bf16: bool = False
    device: str = "cpu"
    smoothing: float = SMOOTHING


@dataclass(frozen=True, eq=False)
class ImageSite:
    """Where X-rays are kept, as pixels: a hospital, or all of them put together."""

    name: str
    labels: Tensor  # [n] int64
    digests: tuple[str, ...]  # n, from which an image's views are drawn
    file: Path  # safetensors with uint8 `pixels` [N, S, S] of many sites
    rows: np.ndarray  # [n], this site's among them

    def epoch(self, number: int) -> Tensor:
        """Refuse: there are no features before a network is trained.

        Raises:
            UserError: always.
        """
        raise UserError(
            f"{self.name} holds X-rays to train a network on, and no features of a frozen one: "
            "choose an algorithm that averages, such as fedavg, or --train head"
        )

    def pixels(self) -> Tensor:
        """All sites' pixels [N, S, S] uint8, mapped from their file: only what is read is loaded.

        Raises:
            OSError: it is gone.
        """
        with safe_open(self.file, framework="pt") as opened:
            pixels: Tensor = opened.get_tensor(PIXELS)
            return pixels


Told = Callable[[int, int], None]  # the epoch, from 0, and the images of it that are done


class NetworkBatch:
    """The `Batch` of one step of one hospital, for the gradient hook: A = 1.

    The loss of an image is cross-entropy with smoothed labels. As in torch's CrossEntropyLoss, the
    class weights count in the smoothing too. Each call of `gradient` is a pass through the network.
    The hook sees what travels; what stays at the hospital follows the loss's own gradient.
    """

    def __init__(
        self,
        network: nn.Module,
        inputs: Tensor,  # [B, 3, S, S]
        labels: Tensor,  # [B]
        class_weights: Tensor,  # [2]
        regime: Regime,
        travels: frozenset[str],
        place: int = 0,
    ) -> None:
        self._network = network
        self._travels = travels
        self.at_home: Tensors = {}  # gradients of what does not travel, once `gradient` was called
        self._inputs = inputs
        self._labels = labels
        self._class_weights = class_weights
        self._regime = regime
        self.hospitals = torch.tensor([place])

    @cached_property
    def weights(self) -> Tensor:
        share = self._class_weights[self._labels]
        return (share / share.sum())[None].cpu()

    @property
    def model(self) -> Tensors:
        state = trained_state(self._network)
        return {name: tensor[None].cpu() for name, tensor in state.items() if name in self._travels}

    def norms(self) -> Tensor:
        raise UserError(
            "what clips each image's gradient needs it image by image, which a whole network does "
            "not give: train heads (--train head)"
        )

    def gradient(self, weights: Tensor | None = None) -> Tensors:
        parameters = _learned(self._network)
        loss = self.loss(self.weights if weights is None else weights)
        found = torch.autograd.grad(loss, list(parameters.values()))
        grads = {name: grad[None].cpu() for name, grad in zip(parameters, found, strict=True)}
        self.at_home = {name: grad for name, grad in grads.items() if name not in self._travels}
        return {name: grad for name, grad in grads.items() if name in self._travels}

    def loss(self, weights: Tensor | None = None) -> Tensor:
        """Return the sum of the images' losses, each times its weight [1, B]."""
        regime = self._regime
        device = torch.device(regime.device).type
        with torch.autocast(device, torch.bfloat16, enabled=regime.bf16):
            logits = self._network(self._inputs)
        losses = functional.cross_entropy(
            logits.float(),
            self._labels,
            self._class_weights,
            reduction="none",
            label_smoothing=regime.smoothing,
        )
        share = self._class_weights[self._labels]
        if weights is None:
            return losses.sum() / share.sum()
        return (losses / share * weights[0].to(losses)).sum()


@one_thread()
def train_network(
    start: Tensors,
    site: ImageSite,
    epochs: range,
    optimisation: Optimisation,
    regime: Regime,
    *,
    seed: int,
    gradient: Gradient | None = None,
    travels: frozenset[str] | None = None,
    place: int = 0,
    told: Told = lambda epoch, images: None,
) -> Tensors:
    """Train a network [...] on a site for the given epochs, and return it anew.

    By AdamW, which starts afresh at each call, under a learning rate that falls along a cosine over
    all epochs of the run. `gradient` says along what each step is taken, if not along the loss's
    own gradient, of the tensors that `travels` names, all if it names none; `place` is the
    hospital's number in it.

    Raises:
        UserError: `gradient` needs what a network does not give, or steps are to be plain ones.
    """
    if optimisation.rule != "adam":
        raise UserError(
            "whole networks are trained by AdamW, and plain steps were asked for: choose an "
            "algorithm that averages, as fedavg, or train heads"
        )
    if regime.device != "cpu":
        torch.backends.cudnn.allow_tf32 = False  # as engines have it; here is another process
    network = _network(start, regime)
    learned = _learned(network)
    optimizer = AdamW(learned.values(), optimisation.weight_decay)
    pixels, labels = site.pixels(), site.labels
    draw = classes_equally if regime.balanced else all_once
    class_weights = torch.ones(len(CLASSES))
    if not regime.balanced:
        class_weights = _class_weights(labels, optimisation)
    class_weights = class_weights.to(regime.device)
    for epoch in epochs:
        drawn = draw(labels, seed=seed, site=site.name, epoch=epoch)
        steps = batches(torch.arange(len(labels)), optimisation.batch_size)
        view, done = View(regime.view, epoch, seed), 0
        for step, places in enumerate(steps):
            rows, repeats = drawn.rows[places], drawn.repeats[places]
            progress = (epoch + step / len(steps)) / regime.total_epochs
            falls = (1 + math.cos(math.pi * progress)) / 2
            seen = pixels[torch.from_numpy(site.rows[rows.numpy()])].numpy()
            # Drawn again, an X-ray is shown anew.
            keys = [
                f"{site.digests[row]}/{repeat}" if repeat else site.digests[row]
                for row, repeat in zip(rows.tolist(), repeats.tolist(), strict=True)
            ]
            grey = render(view, seen, keys, regime.device)
            inputs = to_input(grey).to(memory_format=torch.channels_last)
            classes = labels[rows].to(regime.device)
            batch = NetworkBatch(
                network, inputs, classes, class_weights, regime, travels or frozenset(start), place
            )
            if gradient is None:
                batch.loss().backward()
            else:
                step_along = gradient(batch)
                for name, grad in (batch.at_home | step_along).items():
                    learned[name].grad = torch.empty_like(learned[name]).copy_(grad[0])
            optimizer.step(optimisation.learning_rate * falls)
            done += len(rows)
            told(epoch, done)
    return {name: tensor.cpu().contiguous() for name, tensor in trained_state(network).items()}


def batches(order: Tensor, size: int) -> list[Tensor]:
    """Cut an epoch's order into as few batches as do, all of nearly the same size.

    A last batch of a few images would have batch normalisation's statistics of so few.
    """
    return list(order.tensor_split(-(-len(order) // size))) if len(order) else []


def trained_state(network: nn.Module) -> Tensors:
    """Return a network's tensors as they are, without the counters of batch normalisation."""
    state = network.state_dict()
    return {n: t.detach() for n, t in state.items() if not n.endswith("num_batches_tracked")}


def _network(start: Tensors, regime: Regime) -> nn.Module:
    with torch.device("meta"):
        network = Classifier()
    # Copies, for training moves them in place.
    network.load_state_dict({n: t.clone() for n, t in start.items()}, strict=False, assign=True)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.num_batches_tracked = torch.tensor(0)
    network.to(regime.device).to(memory_format=torch.channels_last)
    network.requires_grad_(True).train()
    if regime.batch_norm == "frozen":
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval().requires_grad_(False)
    return network


def _learned(network: nn.Module) -> dict[str, nn.Parameter]:
    return {name: p for name, p in network.named_parameters() if p.requires_grad}


def _class_weights(labels: Tensor, optimisation: Optimisation) -> Tensor:
    """The classes' weights: those given, or by a site's own counts so that both weigh the same."""
    if optimisation.class_weights is not None:
        return torch.tensor(optimisation.class_weights)
    counts = torch.bincount(labels, minlength=len(CLASSES)).clamp_min(1)
    return len(labels) / (len(CLASSES) * counts)

"""SCAFFOLD: federated averaging whose local steps are corrected for where each hospital drifts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from fedmed.errors import UserError
from fedmed.federated.algorithm import Round
from fedmed.federated.algorithms.fedavg import FedAvg
from fedmed.federated.messages import Layout, layout_of
from fedmed.training.gradient import Batch
from fedmed.training.local_training import Site, one_thread, train_heads
from fedmed.training.smoothness import steps_for
from fedmed.training.tensors import (
    Tensors,
    add,
    group,
    pick,
    repeat,
    subtract,
    under,
    weighted_mean,
)


@dataclass(frozen=True)
class Scaffold(FedAvg):
    """FedAvg with control variates: each hospital's gradient less its own mean, plus everybody's.

    Karimireddy, Kale, Mohri, Reddi, Stich, Suresh: SCAFFOLD: Stochastic Controlled Averaging for
    Federated Learning, ICML 2020, arXiv:1910.06378, Algorithm 1 with option II and weights by
    numbers of images. Local steps are plain gradient descent, never Adam, which would rescale the
    correction; their length is `local_step`, or where that is None, what fits the curvature of each
    hospital's own loss (`training.smoothness`), which corrected steps may differ in. That is asked
    of the features, which none but the plain trainer of heads lets it.

    At the optimum of all hospitals it stays, where FedAvg drifts away.
    """

    name: ClassVar[str] = "scaffold"
    words: ClassVar[str] = "the average of the hospitals' updates, each corrected for its drift"
    sends: ClassVar[str] = "Head and control variate"
    local_step: float | None = None
    server_step: float = 1.0

    def init(self, model: Tensors, samples: Tensor) -> tuple[Tensors, Tensors]:
        server, own = super().init(model, samples)
        nought = {name: torch.zeros_like(tensor) for name, tensor in model.items()}
        own |= under("control", repeat(nought, len(samples)))
        return {**server, **under("control", nought), "samples": samples.sum()}, own

    def broadcast(self, server: Tensors) -> Tensors:
        return {name: tensor for name, tensor in server.items() if name != "samples"}

    def local(
        self, received: Tensors, own: Tensors, sites: Sequence[Site], now: Round
    ) -> tuple[Tensors, Tensors]:
        start, everybody, mine = (
            group(received, "model"), group(received, "control"), group(own, "control")
        )  # fmt: skip
        lengths = self._lengths(sites, now)
        corrected = Corrected(lengths, now.optimisation.weight_decay, mine, everybody)
        plain = replace(now.optimisation, rule="sgd", learning_rate=1.0, weight_decay=0.0)
        trained = replace(now, optimisation=plain).train(
            repeat(start, len(sites)), sites, corrected
        )
        moved = subtract(trained, start)
        size = now.optimisation.batch_size
        steps = torch.tensor([len(now.epochs) * -(-len(site.labels) // size) for site in sites])
        pace = torch.where(steps > 0, 1 / (steps.clamp_min(1) * lengths), 0.0)
        control = {
            name: mine[name] - everybody[name] - _scale(pace, tensor)
            for name, tensor in moved.items()
        }
        sent = {**under("model", moved), **under("control", subtract(control, mine))}
        return sent, {**under("model", trained), **under("control", control)}

    def expected(self, server: Tensors) -> Layout:
        return layout_of(self.broadcast(server))

    def aggregate(self, server: Tensors, sent: Tensors, samples: Tensor, now: Round) -> Tensors:
        mean = pick(weighted_mean(sent, samples), 0)
        moved = {name: self.server_step * t for name, t in group(mean, "model").items()}
        # Of hospitals that were away, the control variates stay: who took part moves a share.
        present = float(samples.sum() / server["samples"])
        shifted = {name: present * t for name, t in group(mean, "control").items()}
        return {
            **under("model", add(group(server, "model"), moved)),
            **under("control", add(group(server, "control"), shifted)),
            "samples": server["samples"],
        }

    @one_thread()
    def _lengths(self, sites: Sequence[Site], now: Round) -> Tensor:
        """Return the length of a local step at each hospital: [H]."""
        if self.local_step is not None:
            return torch.full((len(sites),), self.local_step)
        if now.trainer is not train_heads:
            raise UserError(
                f"{self.name} asks the features how long its steps may be, and this training shows "
                "it none: give it a local_step, choose fedavg, or train heads"
            )
        return torch.tensor([steps_for(site, now.optimisation) for site in sites])


@dataclass(frozen=True, eq=False)
class Corrected:
    """Each hospital's step: as long as it may be, along its gradient less its own mean one, plus
    everybody's. A trainer that takes whole such steps is one of length 1."""

    lengths: Tensor  # [H]
    weight_decay: float
    mine: Tensors  # [H, ...]
    everybody: Tensors

    def __call__(self, batch: Batch) -> Tensors:
        here, model = batch.hospitals, batch.model
        return {
            name: _scale(
                self.lengths[here],
                gradient
                + self.weight_decay * model[name]
                - self.mine[name][here]
                + self.everybody[name],
            )
            for name, gradient in batch.gradient().items()
        }


def _scale(factors: Tensor, tensor: Tensor) -> Tensor:
    """Multiply the h-th of [H, ...] by the h-th of [H]."""
    return factors.reshape(-1, *[1] * (tensor.ndim - 1)) * tensor

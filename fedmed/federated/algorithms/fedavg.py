"""Federated averaging."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fedmed.federated.algorithm import Round
from fedmed.federated.messages import Layout, layout_of
from fedmed.training.gradient import Gradient
from fedmed.training.local_training import Site
from fedmed.training.tensors import (
    Tensors,
    add,
    group,
    is_statistic,
    pick,
    repeat,
    subtract,
    under,
    weighted_mean,
)


@dataclass(frozen=True)
class FedAvg:
    """Federated averaging: the mean of the hospitals' updates, weighted by what their images weigh.

    By their number, as in the paper, where all images weigh the same. Where one class weighs more
    than the other in the loss, an image counts as often as it weighs: the loss of all images is
    then the mean of the hospitals' losses, and one step everywhere is one step of central training.

    McMahan, Moore, Ramage, Hampson, Agüera y Arcas: Communication-Efficient Learning of Deep
    Networks from Decentralized Data, AISTATS 2017, arXiv:1602.05629, Algorithm 1.

    A hospital keeps its model as its own training left it. Whoever averages otherwise extends this
    class: `gradient` changes the local steps, `step` what the server makes of the mean.
    """

    name: ClassVar[str] = "fedavg"
    words: ClassVar[str] = "the average of the hospitals' updates"
    sends: ClassVar[str] = "Head"
    additive: ClassVar[bool] = True
    weighs_images: ClassVar[bool] = True
    most_rounds: ClassVar[int | None] = None
    needs_features: ClassVar[bool] = False
    needs_everyone: ClassVar[bool] = False

    def init(self, model: Tensors, samples: Tensor) -> tuple[Tensors, Tensors]:
        return under("model", model), under("model", repeat(model, len(samples)))

    def broadcast(self, server: Tensors) -> Tensors:
        return self.model(server)

    def local(
        self, received: Tensors, own: Tensors, sites: Sequence[Site], now: Round
    ) -> tuple[Tensors, Tensors]:
        trained = now.train(repeat(received, len(sites)), sites, self.gradient(received))
        return subtract(trained, received), under("model", trained)

    def gradient(self, received: Tensors) -> Gradient | None:
        """Return the gradient of local steps that start from `received`; None is the loss's."""
        return None

    def expected(self, server: Tensors) -> Layout:
        return layout_of(self.model(server))

    def aggregate(self, server: Tensors, sent: Tensors, samples: Tensor, now: Round) -> Tensors:
        mean = pick(weighted_mean(sent, samples), 0)
        # What normalisation measured is no step along a gradient: whatever `step` makes of those,
        # the best guess at all X-rays' statistics is the hospitals' mean. In motion, or at Adam's
        # pace, variances are soon off by factors or below 0, and the network says one thing to all.
        model = self.model(server)
        measured = {n: tensor + mean[n] for n, tensor in model.items() if is_statistic(n)}
        return self.step(server, mean) | under("model", measured)

    def step(self, server: Tensors, mean: Tensors) -> Tensors:
        """Return the server's tensors after it got the mean update of a round."""
        return under("model", add(self.model(server), mean))

    def finished(self, server: Tensors) -> bool:
        return False

    def model(self, kept: Tensors) -> Tensors:
        return group(kept, "model")

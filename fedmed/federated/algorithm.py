"""What a federated algorithm decides; rounds, wire and training are the same for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from torch import Tensor

from fedmed.federated.messages import Layout
from fedmed.training.gradient import Gradient
from fedmed.training.local_training import Site
from fedmed.training.optimizer import Optimisation
from fedmed.training.tensors import Tensors


class Trainer(Protocol):
    """How hospitals train a model on what they have.

    `training.local_training.train_heads` trains heads on cached features, all hospitals in one
    batched product; another may train a network on images, one hospital after the other. An
    algorithm that averages runs on either unchanged.
    """

    def __call__(
        self,
        start: Tensors,
        sites: Sequence[Site],
        epochs: range,
        optimisation: Optimisation,
        *,
        seed: int,
        gradient: Gradient | None = None,
    ) -> Tensors:
        """Train model h on site h for the given epochs: [H, ...] -> [H, ...] each.

        `gradient` makes the gradient of every step, if it is not the loss's own.
        """


@dataclass(frozen=True)
class Round:
    """A round's settings, the same for the server and every hospital."""

    number: int  # from 1
    hospitals: tuple[str, ...]  # the names of those that are asked, of whom some may not answer
    epochs: range  # of local training, numbered through all rounds
    optimisation: Optimisation
    seed: int
    trainer: Trainer

    def train(
        self, start: Tensors, sites: Sequence[Site], gradient: Gradient | None = None
    ) -> Tensors:
        """Train model h on site h for this round's epochs: [H, ...] -> [H, ...] each."""
        return self.trainer(
            start, sites, self.epochs, self.optimisation, seed=self.seed, gradient=gradient
        )


class Algorithm(Protocol):
    """A federated algorithm, cut where its messages are: what the server and a hospital do.

    It holds its settings and nothing that changes. All that it remembers is named tensors, which
    whoever runs the rounds keeps for it: the server's, and the hospitals' with hospitals along the
    first axis. A round is `broadcast`, `local`, `aggregate`; in between, what is sent becomes bytes
    and is counted (`federated.channel`). `local` may get all hospitals or one.

    Another aggregation is a few lines; here the median, which a single hospital cannot move far:

    >>> import torch
    >>> from fedmed.federated.algorithms.fedavg import FedAvg
    >>> from fedmed.federated.rounds import federate
    >>> from fedmed.training.tensors import add, group, under
    >>> class Median(FedAvg):
    ...     name = "median"
    ...     additive = False  # it needs every hospital's update
    ...
    ...     def aggregate(self, server, sent, samples, now):
    ...         update = {name: tensor.median(0).values for name, tensor in sent.items()}
    ...         return under("model", add(group(server, "model"), update))
    >>> class Clinic:
    ...     labels = torch.tensor([0, 1])
    ...
    ...     def __init__(self, name, features):
    ...         self.name, self.features = name, torch.tensor(features)
    ...
    ...     def epoch(self, number):
    ...         return self.features
    >>> clinics = [Clinic("a", [[-1.0], [1.0]]), Clinic("b", [[-2.0], [2.0]]),
    ...            Clinic("wrong", [[9.0], [-9.0]])]
    >>> head = {"weight": torch.zeros(2, 1), "bias": torch.zeros(2)}
    >>> state = federate(clinics, algorithm=Median(), model=head, rounds=2, local_epochs=5, seed=0)
    >>> state.model["weight"].sign()
    tensor([[-1.],
            [ 1.]])
    >>> [sum(sent.values()) for sent in state.ledger.up]
    [432, 432]
    """

    name: ClassVar[str]  # what `--algorithm` calls it
    words: ClassVar[str]  # what its model is: "`federated` is ..."
    sends: ClassVar[str]  # what a hospital's message is
    # Whether a weighted mean of what is sent is all the server needs: only then may secure
    # aggregation hide the rest from it.
    additive: ClassVar[bool]
    # Whether a hospital counts as its images weigh in the loss together; else as there are images.
    weighs_images: ClassVar[bool]
    most_rounds: ClassVar[int | None]  # that it can use, 1 for a closed form; None is any number
    # Whether it reads features of a frozen backbone: then no trainer of whole networks will do.
    needs_features: ClassVar[bool]
    needs_everyone: ClassVar[bool]  # no round may be without some of the hospitals

    def init(self, model: Tensors, samples: Tensor) -> tuple[Tensors, Tensors]:
        """Return the server's and the hospitals' tensors before the first round.

        `model` is what training starts from; hospital h counts as samples[h] images.
        """

    def broadcast(self, server: Tensors) -> Tensors:
        """Return what the server sends to every hospital."""

    def local(
        self, received: Tensors, own: Tensors, sites: Sequence[Site], now: Round
    ) -> tuple[Tensors, Tensors]:
        """At H hospitals: return what each sends and what it keeps, hospitals first in both.

        `received` is the broadcast as the hospitals got it; `own` [H, ...] is what they kept.
        """

    def expected(self, server: Tensors) -> Layout:
        """Return the names, types and shapes of what one hospital sends; others are refused."""

    def aggregate(self, server: Tensors, sent: Tensors, samples: Tensor, now: Round) -> Tensors:
        """Return the server's tensors after a round, in which hospital h sent sent[...][h].

        Where it is additive, these may be one weighted mean (H = 1) in place of the messages.
        """

    def finished(self, server: Tensors) -> bool:
        """Tell whether further rounds would change nothing."""

    def model(self, kept: Tensors) -> Tensors:
        """Return the model in what is kept, which is evaluated and published.

        Of the server's tensors the federated model, of the hospitals' each one's own: [H, ...].
        """

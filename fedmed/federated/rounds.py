"""Federated learning in rounds: broadcast, local training, aggregate.

Messages alone travel, as bytes. The server sees what they say and sample counts, never an image, a
feature or a label.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from fedmed.federated.algorithm import Algorithm, Round, Trainer
from fedmed.federated.channel import Channel
from fedmed.federated.state import State
from fedmed.federated.transforms import Senders
from fedmed.training.local_training import Site, train_heads
from fedmed.training.optimizer import Optimisation
from fedmed.training.tensors import Tensors, join, repeat

PLAIN = Channel()


def federate(
    sites: Sequence[Site],
    *,
    algorithm: Algorithm,
    model: Tensors,
    rounds: int,
    local_epochs: int,
    optimisation: Optimisation | None = None,
    channel: Channel = PLAIN,
    trainer: Trainer = train_heads,
    seed: int,
    state: State | None = None,
    on_round: Callable[[State], None] | None = None,
    every_round: bool = True,
) -> State:
    """Go on from `state`, or start from `model`, until `rounds` rounds are done.

    An algorithm that can use fewer rounds does fewer. The last global model stays on the server: a
    round sends down what the round before made. `on_round` gets the state after each round. Epochs
    are numbered through all rounds, so that augmented views rotate. Stopped anywhere and resumed,
    a run ends with the same bits. Unless `every_round`, the state holds the last global model only:
    of networks, several fill the memory.

    Raises:
        UserError: training diverged, or the channel hides from the server what `algorithm` needs.
    """
    channel.check(algorithm)
    senders = Senders(
        tuple(site.name for site in sites), torch.tensor([len(site.labels) for site in sites])
    )
    state = state or _start(algorithm, model, senders)
    for done in range(state.round, min(rounds, algorithm.most_rounds or rounds)):
        now = Round(
            number=done + 1,
            hospitals=senders.names,
            epochs=range(done * local_epochs, (done + 1) * local_epochs),
            optimisation=optimisation or Optimisation(),
            seed=seed,
            trainer=trainer,
        )
        state = _round(state, sites, senders, algorithm, channel, now)
        if not every_round:
            state = replace(state, models=repeat(state.model, 1))
        if on_round:
            on_round(state)
    return state


def _start(algorithm: Algorithm, model: Tensors, senders: Senders) -> State:
    """Return the state before round 1: hospitals hold zeros, so that all that they get is sent."""
    server, own = algorithm.init(model, senders.samples)
    broadcast = algorithm.broadcast(server)
    return State(
        server=server,
        own=own,
        held={name: torch.zeros_like(tensor) for name, tensor in broadcast.items()},
        kept={},
        models={name: tensor[:0] for name, tensor in repeat(algorithm.model(server), 1).items()},
    )


def _round(
    state: State,
    sites: Sequence[Site],
    senders: Senders,
    algorithm: Algorithm,
    channel: Channel,
    now: Round,
) -> State:
    down = channel.broadcast(algorithm.broadcast(state.server), state.held, now)
    held = channel.hold(down, state.held, now)

    updates, own = algorithm.local(held, state.own, sites, now)
    up, kept = channel.send(updates, state.kept, senders, now)
    del updates  # of networks, each copy takes as much memory as all hospitals' models

    expected = algorithm.expected(state.server)
    received, counted = channel.receive(up, expected, senders, now)
    sizes = {name: len(sent) for name, sent in zip(senders.names, up, strict=True)}
    del up
    server = algorithm.aggregate(state.server, received, counted.samples, now)
    _keep_variances(algorithm.model(server))
    return State(
        server=server,
        own=own,
        held=held,
        kept=kept,
        models=join([state.models, repeat(algorithm.model(server), 1)]),
        ledger=state.ledger.after(
            up=sizes,
            down=dict.fromkeys(senders.names, len(down)),
        ),
    )


def _keep_variances(model: Tensors) -> None:
    """Keep batch normalisation's variances from falling below 0, in place.

    A step that is no mean, an adaptive one or one with momentum, does not know what they are.
    """
    for name, tensor in model.items():
        if name.endswith("running_var"):
            tensor.clamp_(min=0)

"""Federated learning in rounds: broadcast, local training, aggregate.

Messages alone travel, as bytes. The server sees what they say and sample counts, never an image, a
feature or a label.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from fedmed.errors import UserError
from fedmed.federated.algorithm import Algorithm, Round, Trainer
from fedmed.federated.attendance import EVERYONE, Attendance
from fedmed.federated.channel import Channel
from fedmed.federated.messages import Layout, largest
from fedmed.federated.state import State
from fedmed.federated.transforms import Senders
from fedmed.parallel import with_the_next
from fedmed.task import CLASSES
from fedmed.training.local_training import Site, train_heads
from fedmed.training.optimizer import Optimisation
from fedmed.training.tensors import Tensors, join, put, repeat, take, weighted_mean

PLAIN = Channel()
# Of messages that are held at once, where their mean is enough: two networks.
TOGETHER_BYTES = 96 * 2**20


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
    attendance: Attendance = EVERYONE,
    seed: int,
    state: State | None = None,
    on_round: Callable[[State], None] | None = None,
    every_round: bool = True,
) -> State:
    """Go on from `state`, or start from `model`, until `rounds` rounds are done.

    An algorithm that can use fewer rounds, or has come to its end, does fewer. The last global
    model stays on the server: a round sends down what the round before made. `on_round` gets the
    state after each round. Epochs are numbered through all rounds, so that augmented views rotate.
    Stopped anywhere and resumed, a run ends with the same bits. Unless `every_round`, the state
    holds the last global model only: of networks, several fill the memory.

    Raises:
        UserError: training diverged, or the channel, the trainer or the attendance keeps from
            `algorithm` what it needs.
    """
    channel.check(algorithm)
    attendance.check(algorithm)
    if algorithm.needs_features and trainer is not train_heads:
        raise UserError(
            f"{algorithm.name} needs the features of a frozen backbone, and here whole networks "
            "are trained: choose an algorithm that averages, as fedavg, or train heads"
        )
    optimisation = optimisation or Optimisation()
    images = torch.stack([torch.bincount(site.labels, minlength=len(CLASSES)) for site in sites])
    senders = Senders(
        tuple(site.name for site in sites), count_images(algorithm, images, optimisation)
    )
    state = state or start(algorithm, model, senders.samples)
    for done in range(state.round, min(rounds, algorithm.most_rounds or rounds)):
        if algorithm.finished(state.server):
            break
        invited, present = attendance.draw(len(sites), done + 1, seed)
        now = Round(
            number=done + 1,
            hospitals=tuple(senders.names[h] for h in invited.tolist()),
            epochs=range(done * local_epochs, (done + 1) * local_epochs),
            optimisation=optimisation,
            seed=seed,
            trainer=trainer,
        )
        if attendance.is_everyone:
            before = state.held
        else:  # who was away does not hold what was sent meanwhile, so that all is sent anew
            before = {name: torch.zeros_like(tensor) for name, tensor in state.held.items()}
        down = channel.broadcast(algorithm.broadcast(state.server), before, now)
        state = replace(state, held=channel.hold(down, before, now))
        asked = {senders.names[h]: len(down) for h in invited.tolist()}
        del before, down  # of networks, each is as large as one
        state = _round(state, sites, senders, present, asked, algorithm, channel, now)
        if not every_round:
            state = replace(state, models=repeat(state.model, 1))
        if on_round:
            on_round(state)
    return state


def at_once(algorithm: Algorithm, channel: Channel, expected: Layout, count: int) -> int:
    """Return how many of `count` messages are read at once: all where not their mean is enough."""
    if algorithm.additive and not channel.hides:  # masks cancel among all of a round only
        return max(1, TOGETHER_BYTES // largest(expected))
    return count


def count_images(algorithm: Algorithm, images: Tensor, optimisation: Optimisation) -> Tensor:
    """Return as how many images each hospital counts, [H], of its images of each class, [H, C]."""
    weights = optimisation.class_weights if algorithm.weighs_images else None
    return images.double() @ torch.tensor(weights or [1.0] * len(CLASSES), dtype=torch.float64)


def start(algorithm: Algorithm, model: Tensors, samples: Tensor) -> State:
    """Return the state before round 1: hospitals hold zeros, so that all that they get is sent.

    Hospital h counts as samples[h] images.
    """
    server, own = algorithm.init(model, samples)
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
    present: Tensor,
    down: dict[str, int],
    algorithm: Algorithm,
    channel: Channel,
    now: Round,
) -> State:
    """Return the state after a round of the hospitals `present` [P], who hold the broadcast."""
    expected = algorithm.expected(state.server)
    together = at_once(algorithm, channel, expected, len(present))
    own, kept = state.own, state.kept
    sizes: dict[str, int] = {}
    parts: list[tuple[Tensors, Senders]] = []

    def trained(some: Tensor) -> tuple[Tensors, Tensors]:
        here = [sites[h] for h in some.tolist()]
        return algorithm.local(state.held, take(state.own, some), here, now)

    in_turn = present.split(together)
    results = with_the_next(trained, in_turn)
    for some in in_turn:
        updates, after = next(results)
        places = some.tolist()
        who = Senders(tuple(senders.names[h] for h in places), senders.samples[some])
        sent, counted, up, keeping = channel.exchange(updates, take(kept, some), expected, who, now)
        del updates  # of networks, each copy takes as much memory as all hospitals' models
        own, kept = put(own, some, after, len(sites)), put(kept, some, keeping, len(sites))
        sizes |= {name: len(message) for name, message in zip(who.names, up, strict=True)}
        del up
        parts.append(averaged(sent, counted) if together < len(present) else (sent, counted))
        del sent
    server = aggregate(algorithm, state.server, parts, now)
    return replace(
        state,
        server=server,
        own=own,
        kept=kept,
        models=join([state.models, repeat(algorithm.model(server), 1)]),
        ledger=state.ledger.after(up=sizes, down=down),
    )


def averaged(sent: Tensors, senders: Senders) -> tuple[Tensors, Senders]:
    """Return the weighted mean of what was sent, and its senders as one."""
    return weighted_mean(sent, senders.samples), senders.together()


def aggregate(
    algorithm: Algorithm, server: Tensors, parts: Sequence[tuple[Tensors, Senders]], now: Round
) -> Tensors:
    """Return the server's tensors after a round in which the senders of all parts sent these."""
    received, counts = join([sent for sent, _ in parts]), [who.samples for _, who in parts]
    after = algorithm.aggregate(server, received, torch.cat(counts), now)
    _keep_variances(algorithm.model(after))
    return after


def _keep_variances(model: Tensors) -> None:
    """Keep batch normalisation's variances from falling below 0, in place.

    Rounding may bring them there, and a poisoned update.
    """
    for name, tensor in model.items():
        if name.endswith("running_var"):
            tensor.clamp_(min=0)

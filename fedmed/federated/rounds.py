"""Federated learning in rounds: broadcast, local training, aggregate.

Only updates travel: what changed since the head that both sides already hold. The server sees
decoded updates and sample counts, never an image, a feature or a label.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from fedmed.federated.algorithm import Algorithm
from fedmed.federated.messages import decode, encode
from fedmed.federated.state import State
from fedmed.training.heads import add, new_heads, stack, subtract, unstack
from fedmed.training.local_training import Site
from fedmed.training.optimizer import Optimisation


def federate(
    sites: Sequence[Site],
    *,
    algorithm: Algorithm,
    rounds: int,
    local_epochs: int,
    settings: Optimisation,
    format: str = "fp32",
    seed: int,
    state: State | None = None,
    on_round: Callable[[State], None] | None = None,
) -> State:
    """Go on from `state`, or start from zero heads, until `rounds` rounds are done.

    The last global head stays on the server: a round sends down what the round before made.
    `on_round` gets the state after each round. Epochs are numbered through all rounds, so that
    augmented views rotate. Stopped anywhere and resumed, a run ends with the same bits.
    """
    state = state or State(new_heads(0), new_heads(1), new_heads(len(sites)))
    for number in range(state.round, rounds):
        epochs = range(number * local_epochs, (number + 1) * local_epochs)
        state = _round(state, sites, algorithm, epochs, settings, format, seed)
        if on_round:
            on_round(state)
    return state


def _round(
    state: State,
    sites: Sequence[Site],
    algorithm: Algorithm,
    epochs: range,
    settings: Optimisation,
    format: str,
    seed: int,
) -> State:
    # The server, too, applies the decoded bytes to its copy of the shared head: what quantization
    # loses on the way down stays in the difference that the next round sends.
    message = encode(subtract(state.global_head, state.shared), format)
    shared = add(state.shared, decode(message))

    local = algorithm.train(shared, sites, epochs, settings, seed=seed)
    messages = [encode(update, format) for update in unstack(subtract(local, shared))]

    updates = stack([decode(message) for message in messages])
    samples = torch.tensor([len(site.labels) for site in sites])
    names = [site.name for site in sites]
    global_head = add(state.global_head, algorithm.aggregate(updates, samples))
    return State(
        global_heads=stack([state.global_heads, global_head]),
        shared=shared,
        local=local,
        ledger=state.ledger.after(
            up={name: len(sent) for name, sent in zip(names, messages, strict=True)},
            down=dict.fromkeys(names, len(message)),
        ),
    )

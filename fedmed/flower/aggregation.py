"""What a coordinator makes of a round's messages, a few networks in memory at a time."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from fedmed.federated.algorithm import Algorithm, Round
from fedmed.federated.channel import Channel
from fedmed.federated.rounds import aggregate, at_once, averaged
from fedmed.federated.transforms import Senders
from fedmed.training.tensors import Tensors


def read_and_aggregate(
    algorithm: Algorithm,
    channel: Channel,
    server: Tensors,
    messages: Mapping[str, bytes],
    samples: Tensor,
    now: Round,
) -> Tensors:
    """Return the server's tensors after a round in which these hospitals sent these messages.

    Hospital h of them counts as samples[h] images. As in one process, and so to the same bits:
    where a mean is enough, of a few messages at a time.

    Raises:
        TransportError: a message is none.
    """
    expected = algorithm.expected(server)
    together = at_once(algorithm, channel, expected, len(messages))
    names = list(messages)
    parts = []
    for some in torch.arange(len(names)).split(together):
        senders = Senders(tuple(names[h] for h in some.tolist()), samples[some])
        sent, counted = channel.receive(
            [messages[name] for name in senders.names], expected, senders, now
        )
        parts.append(averaged(sent, counted) if together < len(names) else (sent, counted))
    return aggregate(algorithm, server, parts, now)

"""What a coordinator makes of a round's messages, a few networks in memory at a time."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from fedmed.federated.algorithm import Algorithm, Round
from fedmed.federated.channel import Channel
from fedmed.federated.rounds import at_once, keep_variances
from fedmed.federated.transforms import Senders
from fedmed.training.tensors import Tensors, join, weighted_mean


def aggregate(
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
    received, counts = [], []
    for some in torch.arange(len(names)).split(together):
        senders = Senders(tuple(names[h] for h in some.tolist()), samples[some])
        sent, counted = channel.receive(
            [messages[name] for name in senders.names], expected, senders, now
        )
        if together < len(names):
            sent, counted = weighted_mean(sent, counted.samples), counted.together()
        received.append(sent)
        counts.append(counted.samples)
    after = algorithm.aggregate(server, join(received), torch.cat(counts), now)
    keep_variances(algorithm.model(after))
    return after

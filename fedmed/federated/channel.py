"""The way between a server and its hospitals: named tensors in, bytes across, named tensors out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from fedmed.errors import UserError
from fedmed.federated.algorithm import Algorithm, Round
from fedmed.federated.messages import (
    Layout,
    MissingHospitals,
    TransportError,
    decode,
    encode,
    layout_of,
    zeros,
)
from fedmed.federated.transforms import (
    FORMATS,
    UP_OF_NETWORKS,
    Senders,
    Transform,
    refuse_unless_finite,
)
from fedmed.training.tensors import Tensors, add, all_finite, pick, repeat, subtract

_SERVER = Senders(("server",), torch.zeros(1, dtype=torch.int64))


@dataclass(frozen=True)
class Channel:
    """What wraps messages, on the way up to the server and down to the hospitals."""

    up: Sequence[Transform] = ()
    down: Sequence[Transform] = ()

    @classmethod
    def of(cls, format: str, *, networks: bool = False) -> Channel:
        """Return the channel that writes weights in one of the FORMATS, both ways.

        Of `networks`, what an update loses is carried over to the next round.

        Raises:
            ValueError: there is no such format.
        """
        if format not in FORMATS:
            raise ValueError(f"format {format!r}: choose from {', '.join(FORMATS)}")
        up = UP_OF_NETWORKS if networks else FORMATS
        return cls(up=up[format], down=FORMATS[format])

    @property
    def hides(self) -> bool:
        """Whether the server gets one weighted mean in place of the hospitals' messages."""
        return any(transform.hides for transform in self.up)

    def check(self, algorithm: Algorithm) -> None:
        """Refuse an algorithm that needs what a transform hides.

        Raises:
            UserError: naming both.
        """
        hiding = [transform.name for transform in self.up if transform.hides]
        if hiding and not algorithm.additive:
            raise UserError(
                f"{algorithm.name} needs every hospital's message and {hiding[0]} shows the server "
                f"only their mean: choose another algorithm, or leave out {hiding[0]}"
            )

    def broadcast(self, wanted: Tensors, held: Tensors, now: Round) -> bytes:
        """At the server: return the message that takes the hospitals from `held` to `wanted`."""
        messages, _ = _send(self.down, repeat(subtract(wanted, held), 1), {}, _SERVER, now)
        return messages[0]

    def hold(self, message: bytes, held: Tensors, now: Round) -> Tensors:
        """At the hospitals: return what they hold after a broadcast, who held `held` before it.

        So does the server, which sends differences to that: what rounding loses on the way down
        stays in the difference that the next round sends.

        Raises:
            TransportError: the message is of another layout than `held`, or not finite.
        """
        received, _ = _receive(self.down, [message], layout_of(held), _SERVER, now)
        return add(held, pick(received, 0))

    def exchange(
        self, updates: Tensors, kept: Tensors, expected: Layout, senders: Senders, now: Round
    ) -> tuple[Tensors, Senders, list[bytes], Tensors]:
        """Send what the hospitals that answer made in a round, and receive it at the server.

        Where others were asked too, and a transform needs all who are asked, the round is repeated
        among those who answer: nobody trains again, the same updates are wrapped anew. Returns what
        the server got, of whom, what each hospital sent in all, and what each keeps.

        Raises:
            UserError: as `send`, or too few hospitals are left.
        """
        messages, keeping = self.send(updates, kept, senders, now)
        try:
            sent, counted = self.receive(messages, expected, senders, now)
        except MissingHospitals:
            again = replace(now, hospitals=senders.names)
            repeated, keeping = self.send(updates, kept, senders, again)
            sent, counted = self.receive(repeated, expected, senders, again)
            messages = [first + second for first, second in zip(messages, repeated, strict=True)]
        return sent, counted, messages, keeping

    def send(
        self, updates: Tensors, kept: Tensors, senders: Senders, now: Round
    ) -> tuple[list[bytes], Tensors]:
        """At the hospitals: return H messages of `updates` [H, ...], and what they keep.

        Raises:
            UserError: an update holds what cannot be sent, NaN or infinity.
        """
        return _send(self.up, updates, kept, senders, now)

    def sizes(self, up: Layout, down: Layout, now: Round) -> tuple[int, int]:
        """Return how many bytes messages of these layouts take, counted on messages of zeros."""
        encoded = (
            _send(transforms, zeros(layout), {}, _SERVER, now)[0]
            for transforms, layout in ((self.up, up), (self.down, down))
        )
        sizes = [len(messages[0]) for messages in encoded]
        return sizes[0], sizes[1]

    def receive(
        self, messages: Sequence[bytes], expected: Layout, senders: Senders, now: Round
    ) -> tuple[Tensors, Senders]:
        """At the server: return what H messages say, [H, ...] each, or their weighted mean (H = 1).

        Raises:
            TransportError: one is not of the layout `expected`, or not finite.
        """
        return _receive(self.up, messages, expected, senders, now)


def _send(
    transforms: Sequence[Transform], sent: Tensors, kept: Tensors, senders: Senders, now: Round
) -> tuple[list[bytes], Tensors]:
    refuse_unless_finite(sent, "fp32")
    for transform in transforms:
        sent, kept = transform.send(sent, kept, senders, now)
    return encode(sent, len(senders.names)), kept


def _receive(
    transforms: Sequence[Transform],
    messages: Sequence[bytes],
    plain: Layout,
    senders: Senders,
    now: Round,
) -> tuple[Tensors, Senders]:
    layouts = [plain]
    for transform in transforms:
        layouts.append(transform.layout(layouts[-1]))
    sent = decode(messages, layouts.pop())
    for transform, layout in zip(reversed(transforms), reversed(layouts), strict=True):
        sent, senders = transform.receive(sent, layout, senders, now)
    if not all_finite(sent):  # a product with a scale may have become too large
        raise TransportError("not an update: it holds NaN or infinity")
    return sent, senders

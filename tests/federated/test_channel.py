"""The way between server and hospitals, and that every kind of transform fits on it."""

from __future__ import annotations

from typing import ClassVar
from zlib import crc32

import pytest
import torch

from fedmed.errors import UserError
from fedmed.federated.algorithm import Round
from fedmed.federated.algorithms.fedavg import FedAvg
from fedmed.federated.channel import Channel
from fedmed.federated.messages import TransportError, layout_of
from fedmed.federated.rounds import federate
from fedmed.federated.state import State
from fedmed.federated.transforms import FORMATS, INT8, Senders
from fedmed.training.local_training import train_heads
from fedmed.training.optimizer import Optimisation
from fedmed.training.tensors import Tensors, group, pick, under
from tests.support.sites import OPTIMISATION, skewed, zero_head

NOW = Round(1, ("a", "b", "c"), range(1), Optimisation(), 7, train_heads)
THREE = Senders(("a", "b", "c"), torch.tensor([3, 5, 12]))


def updates() -> Tensors:
    generator = torch.Generator().manual_seed(0)
    return {
        "weight": torch.randn(3, 2, 40, generator=generator),
        "bias": torch.randn(3, 2, generator=generator),
    }


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(ValueError, match=r"int4.*fp32, fp16, int8"):
        Channel.of("int4")


@pytest.mark.parametrize("format", FORMATS)
def test_broadcasts_bring_the_hospitals_where_the_server_is(format: str) -> None:
    channel, wanted = Channel.of(format), pick(updates(), 0)
    held = {name: torch.zeros_like(tensor) for name, tensor in wanted.items()}
    errors = []
    for _ in range(4):
        message = channel.broadcast(wanted, held, NOW)
        held = channel.hold(message, held, NOW)
        errors.append(float((held["weight"] - wanted["weight"]).abs().max()))
    assert errors[-1] < 1e-6
    if format == "int8":
        assert errors[0] > 1e-3 and errors[1] < errors[0] / 50


def test_a_broadcast_of_another_layout_is_refused() -> None:
    wanted = pick(updates(), 0)
    message = Channel().broadcast(wanted, wanted, NOW)
    with pytest.raises(TransportError):
        Channel().hold(message, {"weight": wanted["weight"]}, NOW)


class Masked:
    """Secure aggregation in small: masks that cancel in the sum, over integers modulo 2^64."""

    name: ClassVar[str] = "masks"
    hides: ClassVar[bool] = True
    STEPS = 2**30

    def layout(self, plain):
        return {name: ("I64", shape) for name, (_, shape) in plain.items()}

    def _mask(self, pair: tuple[str, str], name: str, now: Round, shape) -> torch.Tensor:
        seed = crc32(repr((*pair, name, now.number)).encode())
        generator = torch.Generator().manual_seed(seed)
        return torch.randint(-(2**62), 2**62, shape, generator=generator)

    def send(self, plain, kept, senders, now):
        sent = {}
        for key, tensor in plain.items():
            weights = senders.samples.reshape(-1, *[1] * (tensor.ndim - 1))
            whole = (tensor.double() * weights * self.STEPS).round().long()
            for h, mine in enumerate(senders.names):
                for other in now.hospitals:
                    if other != mine:
                        pair = (min(mine, other), max(mine, other))
                        mask = self._mask(pair, key, now, tensor.shape[1:])
                        whole[h] += mask if mine < other else -mask
            sent[key] = whole
        return sent, kept

    def receive(self, sent, plain, senders, now):
        total = senders.samples.sum()
        mean = {
            name: (tensor.sum(0, keepdim=True).double() / self.STEPS / total).float()
            for name, tensor in sent.items()
        }
        return mean, Senders(("everybody",), total[None])


class Carried:
    """Rounds to one digit, and sends what that loses with the next update."""

    name: ClassVar[str] = "carried"
    hides: ClassVar[bool] = False

    def layout(self, plain):
        return plain

    def send(self, plain, kept, senders, now):
        lost = group(kept, self.name) or {name: t * 0 for name, t in plain.items()}
        whole = {name: t + lost[name] for name, t in plain.items()}
        sent = {name: (10 * t).round() / 10 for name, t in whole.items()}
        return sent, kept | under(self.name, {name: whole[name] - sent[name] for name in whole})

    def receive(self, sent, plain, senders, now):
        return sent, senders


def test_masked_messages_give_the_mean_and_nothing_else() -> None:
    channel, sent = Channel(up=[Masked()]), updates()
    messages, _ = channel.send(sent, {}, THREE, NOW)
    received, senders = channel.receive(messages, layout_of(pick(sent, 0)), THREE, NOW)
    assert senders.samples.tolist() == [20]
    share = THREE.samples / 20
    for name, tensor in sent.items():
        mean = torch.einsum("h,h...->...", share, tensor)[None]
        assert torch.allclose(received[name], mean, atol=1e-6)


def test_each_hospital_may_mask_on_its_own() -> None:
    channel, sent = Channel(up=[Masked()]), updates()
    together, _ = channel.send(sent, {}, THREE, NOW)
    for h, name in enumerate(THREE.names):
        alone = {key: tensor[h : h + 1] for key, tensor in sent.items()}
        mine = Senders((name,), THREE.samples[h : h + 1])
        assert channel.send(alone, {}, mine, NOW)[0] == [together[h]]


def test_a_federation_behind_masks_ends_as_one_without() -> None:
    def run(channel: Channel) -> State:
        options = {"rounds": 3, "local_epochs": 1, "optimisation": OPTIMISATION, "seed": 1}
        model = zero_head(16)
        return federate(skewed(16), algorithm=FedAvg(), model=model, channel=channel, **options)

    plain, masked = run(Channel()), run(Channel(up=[Masked()]))
    assert all(torch.allclose(plain.model[n], masked.model[n], atol=1e-6) for n in plain.model)
    assert max(masked.ledger.messages) > max(plain.ledger.messages), "64 bits for every number"


def test_an_algorithm_that_needs_every_message_is_refused_behind_masks() -> None:
    class Median(FedAvg):
        name: ClassVar[str] = "median"
        additive: ClassVar[bool] = False

    with pytest.raises(UserError, match=r"median .* masks"):
        federate(
            skewed(16),
            algorithm=Median(),
            model=zero_head(16),
            rounds=1,
            local_epochs=1,
            channel=Channel(up=[Masked()]),
            seed=1,
        )


def test_what_a_transform_keeps_is_kept_from_round_to_round() -> None:
    channel = Channel(up=[Carried(), INT8()])
    sent, kept, total = updates(), {}, 0.0
    for _ in range(20):
        messages, kept = channel.send(sent, kept, THREE, NOW)
        received, _ = channel.receive(messages, layout_of(pick(sent, 0)), THREE, NOW)
        total = total + received["bias"]
    assert torch.allclose(total / 20, sent["bias"], atol=0.1 / 20 + 1e-6)
    assert not torch.allclose(received["bias"], sent["bias"], atol=1e-3)


def test_transforms_are_undone_in_reverse() -> None:
    """Carried first, then INT8: what arrives is off by INT8's rounding and by Carried's."""
    sent = updates()
    channel = Channel(up=[Carried(), INT8()])
    messages, _ = channel.send(sent, {}, THREE, NOW)
    received, _ = channel.receive(messages, layout_of(pick(sent, 0)), THREE, NOW)
    assert ((received["weight"] - sent["weight"]).abs() < 0.05 + 0.02).all()
    assert received["weight"].dtype == torch.float32

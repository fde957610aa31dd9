"""What formats do to an update, and how much they lose of it."""

from __future__ import annotations

import pytest
import torch

from fedmed.errors import UserError
from fedmed.federated.algorithm import Round
from fedmed.federated.channel import Channel
from fedmed.federated.messages import TransportError, encode, layout_of
from fedmed.federated.transforms import FORMATS, INT8, Senders
from fedmed.training.local_training import train_heads
from fedmed.training.optimizer import Optimisation
from fedmed.training.tensors import Tensors, pick

NOW = Round(1, ("a", "b"), range(1), Optimisation(), 0, train_heads)
TWO = Senders(("a", "b"), torch.tensor([3, 5]))


def updates(scale: float = 1e-2, seed: int = 0) -> Tensors:
    generator = torch.Generator().manual_seed(seed)
    return {
        "weight": scale * torch.randn(2, 2, 512, generator=generator),
        "bias": scale * torch.randn(2, 2, generator=generator),
    }


def over(format: str, sent: Tensors) -> Tensors:
    """What arrives of two hospitals' tensors."""
    channel = Channel.of(format)
    messages, kept = channel.send(sent, {}, TWO, NOW)
    assert kept == {}
    received, senders = channel.receive(messages, layout_of(pick(sent, 0)), TWO, NOW)
    assert senders is TWO
    return received


def test_fp32_is_exact() -> None:
    sent = updates()
    received = over("fp32", sent)
    assert all(torch.equal(received[name], sent[name]) for name in sent)


def test_fp16_rounds_the_weights_and_keeps_the_bias() -> None:
    sent = updates()
    received = over("fp16", sent)
    assert torch.equal(received["weight"], sent["weight"].half().float())
    assert torch.equal(received["bias"], sent["bias"])


@pytest.mark.parametrize("scale", [1e-30, 1e-2, 1e30])
def test_int8_is_off_by_no_more_than_half_a_step_of_its_row(scale: float) -> None:
    sent = updates(scale)
    sent["weight"][0, 1] *= 100
    received = over("int8", sent)
    step = sent["weight"].abs().amax(2, keepdim=True) / 127
    assert ((received["weight"] - sent["weight"]).abs() <= step * 0.5001).all()
    assert torch.equal(received["bias"], sent["bias"])


def test_int8_has_a_scale_for_every_output_channel_of_a_convolution() -> None:
    weight = torch.randn(2, 4, 3, 3, 3) * torch.tensor([1e-3, 1.0, 50.0, 0.0]).reshape(4, 1, 1, 1)
    received = over("int8", {"conv.weight": weight})["conv.weight"]
    step = weight.abs().amax((2, 3, 4), keepdim=True) / 127
    assert ((received - weight).abs() <= step * 0.5001).all()


@pytest.mark.parametrize("format", FORMATS)
def test_a_zero_update_arrives_as_zero(format: str) -> None:
    received = over(format, updates(scale=0.0))
    assert not received["weight"].any() and not received["bias"].any()


def test_int8_survives_the_smallest_floats() -> None:
    sent = {"weight": torch.full((2, 2, 512), 1.9e-43)}
    assert (over("int8", sent)["weight"] > 1e-43).all()


@pytest.mark.parametrize("format", FORMATS)
def test_double_precision_and_counts_stay_as_they_are(format: str) -> None:
    sent = {"A": torch.randn(2, 5, 5, dtype=torch.float64), "n": torch.tensor([[[3, 4]], [[0, 9]]])}
    received = over(format, sent)
    assert all(torch.equal(received[name], sent[name]) for name in sent)


def test_messages_are_small_and_their_size_is_fixed() -> None:
    def sizes(format: str) -> set[int]:
        sent = [Channel.of(format).send(updates(seed=s), {}, TWO, NOW)[0] for s in range(5)]
        return {len(message) for messages in sent for message in messages}

    (fp32,), (fp16,), (int8,) = map(sizes, FORMATS)
    assert 4104 < fp32 < 4300
    assert fp32 / fp16 > 1.9
    assert fp32 / int8 > 3.4


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["weight", "bias"])
def test_nan_and_infinity_are_not_sent(format: str, value: float, name: str) -> None:
    sent = updates()
    sent[name][1, 0] = value
    with pytest.raises(UserError, match="--learning-rate"):
        over(format, sent)


def test_what_fp16_cannot_hold_is_not_sent() -> None:
    with pytest.raises(UserError, match="fp16"):
        over("fp16", updates(1e6))


HONEST = {
    "weight": torch.ones(1, 2, 512, dtype=torch.int8),
    "bias": torch.zeros(1, 2),
    "weight.scale": torch.ones(1, 2),
}
DISHONEST: dict[str, Tensors] = {
    "negative scale": {"weight.scale": -torch.ones(1, 2)},
    "infinite scale": {"weight.scale": torch.full((1, 2), torch.inf)},
    "NaN scale": {"weight.scale": torch.full((1, 2), torch.nan)},
    "a product beyond floats": {
        "weight": HONEST["weight"] * 127,
        "weight.scale": torch.full((1, 2), 3e38),
    },
    "-128": {"weight": HONEST["weight"] * -128},
    "one scale": {"weight.scale": torch.ones(1, 1)},
    "plain weights": {"weight": torch.ones(1, 2, 512)},
}


@pytest.mark.parametrize("change", DISHONEST.values(), ids=DISHONEST.keys())
def test_int8_that_nobody_honest_sends_is_refused(change: Tensors) -> None:
    expected, one = layout_of(pick(updates(), 0)), Senders(("a",), torch.tensor([3]))
    channel = Channel(up=[INT8()])
    received, _ = channel.receive(encode(HONEST, 1), expected, one, NOW)
    assert (received["weight"] == 1).all()
    with pytest.raises(TransportError):
        channel.receive(encode(HONEST | change, 1), expected, one, NOW)


def test_what_int8_loses_of_a_networks_update_is_sent_in_the_next_round() -> None:
    """The same update ten times: rounded alike each time, the loss adds up; carried over, not."""
    sent = updates()
    layout = layout_of(pick(sent, 0))
    arrived = {}
    for networks in (False, True):
        channel, kept = Channel.of("int8", networks=networks), {}
        total = {name: torch.zeros_like(tensor) for name, tensor in sent.items()}
        for _ in range(10):
            messages, kept = channel.send(sent, kept, TWO, NOW)
            received, _ = channel.receive(messages, layout, TWO, NOW)
            total = {name: tensor + received[name] for name, tensor in total.items()}
        arrived[networks] = total
        assert torch.allclose(total["bias"], 10 * sent["bias"])
    step = sent["weight"].abs().amax(2, keepdim=True) / 127
    lost = {networks: 10 * sent["weight"] - total["weight"] for networks, total in arrived.items()}
    assert (lost[True].abs() <= 0.51 * step * 1.01).all()
    assert (lost[False].abs() > 2 * step).any()
    assert torch.allclose(kept["int8/weight"], lost[True], atol=1e-6)


@pytest.mark.parametrize("format", FORMATS)
def test_sizes_counted_on_nothing_are_those_of_messages(format: str) -> None:
    sent = updates()
    channel = Channel.of(format, networks=True)
    messages, _ = channel.send(sent, {}, TWO, NOW)
    layout = layout_of(pick(sent, 0))
    down = channel.broadcast(pick(sent, 0), pick(sent, 1), NOW)
    assert channel.sizes(layout, layout, NOW) == (len(messages[0]), len(down))

"""What an update loses on its way, at most; and that nothing but an update is read."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fedmed.federated.algorithm import Round
from fedmed.federated.channel import Channel
from fedmed.federated.ledger import Ledger, summary
from fedmed.federated.messages import TransportError, encode, largest, layout_of
from fedmed.federated.transforms import FORMATS, INT8_MAX, Senders
from fedmed.training.heads import Heads
from fedmed.training.local_training import train_heads
from fedmed.training.optimizer import Optimisation

SIZES = {"fp32": 4240, "fp16": 2192, "int8": 1240}
NOW = Round(1, ("hospital_1",), range(1), Optimisation(), 0, train_heads)
ONE = Senders(("hospital_1",), torch.tensor([1]))
LAYOUT = layout_of({"weight": torch.zeros(2, 512), "bias": torch.zeros(2)})


def sent(update: Heads, format: str) -> bytes:
    (message,), _ = Channel.of(format).send(update.tensors(), {}, ONE, NOW)
    return message


def received(message: bytes, format: str) -> Heads:
    tensors, _ = Channel.of(format).receive([message], LAYOUT, ONE, NOW)
    return Heads.of(tensors)


@st.composite
def heads(draw: st.DrawFn, largest: float = 6e4) -> Heads:
    """One update; most weights follow a seed, some are drawn: zeros, extremes, subnormals."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    scale = draw(st.sampled_from([0.0, 1e-30, 1e-3, 1.0, 1e3]))
    weight = torch.randn(1, 2, 512, generator=generator) * scale
    numbers = st.floats(-largest, largest, width=32)
    odd = draw(arrays.arrays(np.float32, (2, 3), elements=numbers))
    weight[0, :, :3] = torch.from_numpy(odd)
    bias = draw(arrays.arrays(np.float32, (1, 2), elements=numbers))
    return Heads(weight, torch.from_numpy(bias))


@given(heads())
def test_fp32_loses_nothing(update: Heads) -> None:
    found = received(sent(update, "fp32"), "fp32")
    assert torch.equal(found.weight, update.weight) and torch.equal(found.bias, update.bias)


@given(heads())
def test_fp16_is_off_by_half_a_step_of_its_own(update: Heads) -> None:
    found = received(sent(update, "fp16"), "fp16")
    step = torch.from_numpy(np.spacing(np.abs(found.weight.numpy().astype(np.float16))))
    assert bool(((found.weight - update.weight).abs() <= step.float() / 2).all())
    assert torch.equal(found.bias, update.bias)


@given(heads())
def test_int8_is_off_by_half_a_scale(update: Heads) -> None:
    found = received(sent(update, "int8"), "int8")
    scale = update.weight.abs().amax(2, keepdim=True) / INT8_MAX
    slack = 1e-5 * update.weight.abs() + 1e-44  # FP32's own rounding
    assert bool(((found.weight - update.weight).abs() <= scale / 2 + slack).all())
    assert torch.equal(found.bias, update.bias)


@pytest.mark.parametrize("format", FORMATS)
@given(heads())
def test_what_was_sent_once_can_be_sent_again(format: str, update: Heads) -> None:
    once = received(sent(update, format), format)
    twice = received(sent(once, format), format)
    assert torch.allclose(once.weight, twice.weight, rtol=1e-6, atol=1e-44)
    assert torch.equal(once.bias, twice.bias)


@given(st.lists(heads(), min_size=1, max_size=3), st.sampled_from([*FORMATS]))
def test_bytes_are_counted_on_the_message(updates: list[Heads], format: str) -> None:
    messages = [sent(update, format) for update in updates]
    assert {len(message) for message in messages} == {SIZES[format]}
    ledger = Ledger().after(
        up={f"hospital_{n}": len(message) for n, message in enumerate(messages)},
        down={f"hospital_{n}": len(messages[0]) for n in range(len(messages))},
    )
    told = summary({format: ledger}, full_model=10**7)[format]
    assert told["update_bytes"] == len(messages[0])
    assert told["run_bytes"] == told["round_bytes"] == 2 * sum(map(len, messages))


@pytest.mark.parametrize("format", FORMATS)
@given(st.data())
def test_damaged_messages_are_no_updates_or_finite_ones(format: str, data: st.DataObject) -> None:
    message = bytearray(sent(Heads(torch.ones(1, 2, 512), torch.ones(1, 2)), format))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(message)))
        removed = data.draw(st.integers(0, 8))
        message[place : place + removed] = data.draw(st.binary(max_size=8))
    try:
        found = received(bytes(message), format)
    except TransportError:
        return
    assert found.weight.shape == (1, 2, 512) and found.bias.shape == (1, 2)
    assert bool(found.weight.isfinite().all() and found.bias.isfinite().all())


@pytest.mark.parametrize("format", FORMATS)
@given(st.data())
def test_random_bytes_are_no_update(format: str, data: st.DataObject) -> None:
    message = data.draw(st.binary(max_size=2 * largest(LAYOUT)))
    with pytest.raises(TransportError):
        received(message, format)


NAMES = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=30)


@given(st.dictionaries(NAMES, st.lists(st.integers(0, 5), max_size=4), max_size=6))
def test_the_largest_size_holds_whatever_the_names_and_shapes(shapes: dict[str, list[int]]) -> None:
    tensors = {name: torch.ones(1, *shape) for name, shape in shapes.items()}
    layout = layout_of({name: tensor[0] for name, tensor in tensors.items()})
    (message,) = encode(tensors, 1)
    assert len(message) <= largest(layout)

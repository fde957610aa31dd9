"""Named tensors as bytes, and what is refused of bytes that may come from anyone."""

from __future__ import annotations

import random
import tracemalloc

import pytest
import torch
from safetensors.torch import load, save

from fedmed.federated.messages import TransportError, decode, encode, largest, layout_of
from fedmed.training.tensors import Tensors, pick

EXPECTED: Tensors = {"weight": torch.zeros(2, 512), "bias": torch.zeros(2)}
LAYOUT = layout_of(EXPECTED)


def updates(count: int = 3, seed: int = 0) -> Tensors:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(count, *tensor.shape, generator=generator)
        for name, tensor in EXPECTED.items()
    }


def same(a: Tensors, b: Tensors) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_what_was_sent_arrives() -> None:
    sent = updates()
    assert same(decode(encode(sent, 3), LAYOUT), sent)


@pytest.mark.parametrize(
    "dtype",
    [torch.float64, torch.float16, torch.int64, torch.int32, torch.int8, torch.uint8],
    ids=str,
)
def test_numbers_of_every_type_arrive_in_it(dtype: torch.dtype) -> None:
    sent = {"sums": torch.arange(24).reshape(2, 3, 4).to(dtype), "none": torch.zeros(2, 0)}
    received = decode(encode(sent, 2), layout_of(pick(sent, 0)))
    assert same(received, sent) and received["sums"].dtype == dtype


def test_tensors_cut_from_others_can_be_sent() -> None:
    wide = torch.randn(3, 2, 513)
    sent = {"weight": wide[..., :-1], "bias": wide[..., -1]}
    assert same(decode(encode(sent, 3), LAYOUT), sent)
    spread = {name: tensor.expand(3, *tensor.shape) for name, tensor in EXPECTED.items()}
    assert same(decode(encode(spread, 3), LAYOUT), spread)


def test_nothing_can_be_sent_too() -> None:
    """An algorithm may have nothing to tell the hospitals."""
    (message,) = encode({}, 1)
    assert decode([message], {}) == {} and 0 < len(message) <= largest({})


def test_a_megabyte_of_second_moments_is_a_message_too() -> None:
    moments = {"A": torch.randn(1, 513, 513, dtype=torch.float64), "n": torch.ones(1, 2)}
    assert same(decode(encode(moments, 1), layout_of(pick(moments, 0))), moments)


@pytest.mark.parametrize(
    "model",
    [
        EXPECTED,
        {},
        {f"layer{i}." + 'é"' * i: torch.zeros(i, 2) for i in range(40)},
        {"A": torch.zeros(513, 513, dtype=torch.float64), "n": torch.zeros(2)},
    ],
    ids=["head", "nothing", "many", "moments"],
)
def test_the_largest_size_is_enough_and_not_much_more(model: Tensors) -> None:
    (message,) = encode({name: tensor[None] for name, tensor in model.items()}, 1)
    slack = sum(160 + 2 * len(name.encode()) for name in model) + 16
    assert len(message) <= largest(layout_of(model)) <= len(message) + slack


def test_what_is_too_long_is_refused_before_memory_is_spent_on_it() -> None:
    huge = save({"weight": torch.zeros(2, 512), "bias": torch.zeros(5_000_000)})
    tracemalloc.start()
    try:
        with pytest.raises(TransportError, match="too long"):
            decode([huge], LAYOUT)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


W, B = EXPECTED["weight"], EXPECTED["bias"]
MALFORMED = {
    "nothing": b"",
    "noise": b"\xff" * 100,
    "a pickle": b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94.",
    "too long": b"\0" * (largest(LAYOUT) + 1),
    "huge header": (2**60).to_bytes(8, "little") + b"{}",
    "no tensors": save({}),
    "no bias": save({"weight": W}),
    "one tensor too many": save({"weight": W, "bias": B, "x": B[:1].clone()}),
    "other names": save({"weights": W, "bias": B}),
    "three classes": save({"weight": torch.zeros(3, 512), "bias": torch.zeros(3)}),
    "another width": save({"weight": torch.zeros(2, 511), "bias": B}),
    "flat": save({"weight": torch.zeros(1024), "bias": B}),
    "fp64": save({"weight": W.double(), "bias": B}),
    "bf16": save({"weight": W.bfloat16(), "bias": B}),
    "fp16": save({"weight": W.half(), "bias": B}),
    "NaN weight": save({"weight": W * torch.nan, "bias": B}),
    "infinite bias": save({"weight": W, "bias": B + torch.inf}),
}


@pytest.mark.parametrize("message", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_bytes_are_refused(message: bytes) -> None:
    honest = encode(updates(1), 1)
    with pytest.raises(TransportError):
        decode([*honest, message], LAYOUT)


def test_damaged_bytes_are_refused_or_decode_to_a_finite_update() -> None:
    (whole,) = encode(updates(1), 1)
    dice = random.Random(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(dice.randint(1, 4)):
            damaged[dice.randrange(min(300, len(whole)))] = dice.randrange(256)
        try:
            received = decode([bytes(damaged[: dice.choice([len(whole), 2000])])], LAYOUT)
        except TransportError:
            refused += 1
        else:
            assert layout_of(pick(received, 0)) == LAYOUT
            assert all(tensor.isfinite().all() for tensor in received.values())
    assert refused > 200


def test_the_wire_is_plain_safetensors() -> None:
    sent = updates(2)
    for h, message in enumerate(encode(sent, 2)):
        assert same(load(message), pick(sent, h))


def test_nothing_is_read_where_one_of_many_is_too_long() -> None:
    layout = layout_of({"weight": torch.zeros(40, 512), "bias": torch.zeros(2)})
    large = encode({"weight": torch.ones(2, 40, 512), "bias": torch.ones(2, 2)}, 2)
    messages = [*large, bytes(largest(layout) + 1)]
    tracemalloc.start()
    with pytest.raises(TransportError, match="too long"):
        decode(messages, layout)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < len(large[0]) / 2

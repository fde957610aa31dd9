from __future__ import annotations

import json
import random

import pytest
import torch
from safetensors.torch import load, save

from fedmed.errors import UserError
from fedmed.federated.ledger import Ledger, full_model_bytes, summary
from fedmed.federated.messages import FORMATS, LARGEST_MESSAGE, TransportError, decode, encode
from fedmed.training.heads import Heads, unstack


def update(scale: float = 1e-2, seed: int = 0) -> Heads:
    generator = torch.Generator().manual_seed(seed)
    weight = scale * torch.randn(1, 2, 512, generator=generator)
    return Heads(weight, scale * torch.randn(1, 2, generator=generator))


def test_fp32_is_exact():
    sent = update()
    received = decode(encode(sent, "fp32"))
    assert torch.equal(received.weight, sent.weight) and torch.equal(received.bias, sent.bias)
    assert received.weight.dtype == torch.float32


def test_fp16_rounds_the_weights_and_keeps_the_bias():
    sent = update()
    received = decode(encode(sent, "fp16"))
    assert torch.equal(received.weight, sent.weight.half().float())
    assert torch.equal(received.bias, sent.bias)
    assert received.weight.dtype == torch.float32


@pytest.mark.parametrize("scale", [1e-30, 1e-2, 1e30])
def test_int8_is_off_by_no_more_than_half_a_step_of_its_row(scale):
    sent = update(scale)
    sent.weight[0, 1] *= 100
    received = decode(encode(sent, "int8"))
    step = sent.weight.abs().amax(2, keepdim=True) / 127
    assert ((received.weight - sent.weight).abs() <= step * 0.5001).all()
    assert torch.equal(received.bias, sent.bias)


@pytest.mark.parametrize("format", FORMATS)
def test_a_zero_update_arrives_as_zero(format):
    received = decode(encode(Heads(torch.zeros(1, 2, 512), torch.zeros(1, 2)), format))
    assert not received.weight.any() and not received.bias.any()


def test_int8_survives_the_smallest_floats():
    sent = Heads(torch.full((1, 2, 512), 1.9e-43), torch.zeros(1, 2))
    received = decode(encode(sent, "int8"))
    assert (received.weight > 1e-43).all()


@pytest.mark.parametrize("format", FORMATS)
def test_a_head_cut_from_many_can_be_sent(format):
    many = Heads(torch.randn(3, 2, 513)[..., :-1], torch.randn(3, 2, 5)[..., 0])
    for head in unstack(many):
        assert torch.allclose(decode(encode(head, format)).weight, head.weight, atol=0.05)


def test_messages_are_small_and_their_size_is_fixed():
    sizes = {f: {len(encode(update(seed=seed), f)) for seed in range(5)} for f in FORMATS}
    (fp32,), (fp16,), (int8,) = sizes["fp32"], sizes["fp16"], sizes["int8"]
    assert 4104 < fp32 < 4300
    assert fp32 / fp16 > 1.9
    assert fp32 / int8 > 3.4


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("part", ["weight", "bias"])
def test_nan_and_infinity_are_not_sent(format, value, part):
    sent = update()
    getattr(sent, part)[0, 0] = value
    with pytest.raises(UserError, match="--learning-rate"):
        encode(sent, format)


def test_what_fp16_cannot_hold_is_not_sent():
    with pytest.raises(UserError, match="fp16"):
        encode(update(1e6), "fp16")


def test_an_unknown_format_is_named():
    with pytest.raises(ValueError, match="int4"):
        encode(update(), "int4")


W, B, S = torch.zeros(2, 512), torch.zeros(2), torch.ones(2)
MALFORMED = {
    "nothing": b"",
    "noise": b"\xff" * 100,
    "a pickle": b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94.",
    "too long": b"\0" * (LARGEST_MESSAGE + 1),
    "huge header": (2**60).to_bytes(8, "little") + b"{}",
    "no tensors": save({}),
    "no bias": save({"w": W}),
    "one tensor too many": save({"w": W, "b": B, "x": B.clone()}),
    "other names": save({"weight": W, "bias": B}),
    "three classes": save({"w": torch.zeros(3, 512), "b": torch.zeros(3)}),
    "flat": save({"w": torch.zeros(1024), "b": B}),
    "fp64": save({"w": W.double(), "b": B}),
    "bf16": save({"w": W.bfloat16(), "b": B}),
    "fp16 bias": save({"w": W, "b": B.half()}),
    "int8 without scales": save({"w": W.to(torch.int8), "b": B}),
    "fp32 with scales": save({"w": W, "b": B, "s": S}),
    "one scale": save({"w": W.to(torch.int8), "b": B, "s": torch.ones(1)}),
    "negative scale": save({"w": W.to(torch.int8), "b": B, "s": -S}),
    "infinite scale": save({"w": (W + 1).to(torch.int8), "b": B, "s": S / 0}),
    "NaN scale": save({"w": W.to(torch.int8), "b": B, "s": S * torch.nan}),
    "-128": save({"w": (W - 128).to(torch.int8), "b": B, "s": S}),
    "NaN weight": save({"w": W * torch.nan, "b": B}),
    "infinite fp16": save({"w": (W + 1e9).half(), "b": B}),
    "NaN bias": save({"w": W, "b": B * torch.nan}),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_bytes_are_refused(data):
    with pytest.raises(TransportError):
        decode(data)


@pytest.mark.parametrize("format", FORMATS)
def test_damaged_bytes_are_refused_or_decode_to_a_finite_update(format):
    whole = encode(update(), format)
    dice = random.Random(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(dice.randint(1, 4)):
            damaged[dice.randrange(min(300, len(whole)))] = dice.randrange(256)
        try:
            received = decode(bytes(damaged[: dice.choice([len(whole), dice.randrange(2000)])]))
        except TransportError:
            refused += 1
        else:
            assert received.weight.shape == (1, 2, 512) and received.weight.isfinite().all()
    assert refused > 200


def test_the_wire_is_plain_safetensors():
    tensors = load(encode(update(), "int8"))
    assert {name: t.dtype for name, t in tensors.items()} == {
        "w": torch.int8,
        "b": torch.float32,
        "s": torch.float32,
    }


def test_a_ledger_grows_by_rounds_and_is_plain_data():
    empty = Ledger()
    one = empty.after(up={"a": 3, "b": 4}, down={"a": 5, "b": 5})
    two = one.after(up={"a": 1, "b": 1}, down={"a": 1, "b": 1})
    assert (len(empty.up), len(one.up), len(two.up)) == (0, 1, 2)
    assert sum(one.messages) == 17
    assert Ledger(**json.loads(json.dumps({"up": two.up, "down": two.down}))) == two


def test_a_whole_resnet18_costs_45_megabytes():
    torchvision = pytest.importorskip("torchvision")
    with torch.device("meta"):
        model = torchvision.models.resnet18(num_classes=2)
    assert sum(parameter.numel() for parameter in model.parameters()) == 11_177_538
    assert full_model_bytes(model.state_dict()) == 4 * (11_177_538 + 9_600)
    assert full_model_bytes(model.half().state_dict()) == 4 * (11_177_538 + 9_600)


def test_summary_measures_what_was_sent_and_computes_the_whole_model():
    message = {"hospital_1": 100, "hospital_2": 100}
    ledger = Ledger().after(up=message, down=message).after(up=message, down=message)
    formats = summary({"fp32": ledger, "int8": ledger}, full_model=1000)
    assert list(formats) == ["full_fp32", "fp32", "int8"]
    costs = ("measured", "update_bytes", "round_bytes", "run_bytes")
    assert [formats["full_fp32"][cost] for cost in costs] == [False, 1000, 4000, 8000]
    assert [formats["int8"][cost] for cost in costs] == [True, 100, 400, 800]
    assert formats["int8"]["title"] == "Head, INT8"

"""Networks in few bits: how far off, the same again, and what is no network refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from fedmed.backbones.quantized import (
    SCALE,
    STEPS,
    _pack,
    _unpack,
    decode,
    encode,
    layout,
)
from fedmed.backbones.weights import State
from fedmed.errors import UserError
from tests.support.snapshots import random_networks


@pytest.fixture(scope="module")
def networks() -> dict[str, State]:
    return random_networks(["federated", "hospital_1"])


@pytest.fixture(scope="module")
def encoded(networks: dict[str, State]) -> State:
    return encode(networks["federated"])


@pytest.fixture(scope="module")
def base(encoded: State) -> State:
    return decode(encoded, None, "base")


@pytest.fixture(scope="module")
def difference(networks: dict[str, State], base: State) -> State:
    return encode(networks["hospital_1"], base)


def same(some: State, others: State) -> bool:
    return some.keys() == others.keys() and all(torch.equal(some[n], others[n]) for n in some)


def error(network: State, stored: State, base: State | None = None) -> float:
    """The stored convolutions' error, of the size of what was stored of them."""
    names = [name for name, shape in layout().items() if len(shape) == 4]
    whole = {n: network[n] - base[n] if base else network[n] for n in names}
    off = sum(float((network[n] - stored[n]).square().sum()) for n in names)
    return float((off / sum(float(t.square().sum()) for t in whole.values())) ** 0.5)


def test_a_layout_is_all_of_torchvisions_but_counters() -> None:
    from torchvision.models import resnet18

    expected = {
        name: tuple(tensor.shape)
        for name, tensor in resnet18(num_classes=2).state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    assert layout() == expected and len(expected) == 102


@pytest.mark.slow
def test_how_far_off(networks: dict[str, State], base: State, difference: State) -> None:
    hospital = decode(difference, base, "hospital")
    assert 0 < error(networks["federated"], base) < 0.0003
    assert 0.05 < error(networks["hospital_1"], hospital, base) < 0.11
    for name, shape in layout().items():
        if len(shape) != 4:
            assert torch.equal(base[name], networks["federated"][name])
            assert torch.equal(hospital[name], networks["hospital_1"][name])


def test_what_was_decoded_is_stored_without_loss(base: State, difference: State) -> None:
    hospital = decode(difference, base, "hospital")
    assert same(decode(encode(base), None, "again"), base)
    assert same(decode(encode(hospital, base), base, "again"), hospital)


def test_how_large(encoded: State, difference: State) -> None:
    weights = sum(t.numel() for t in encoded.values() if t.ndim == 4)
    rest = sum(t.nbytes for t in encoded.values() if t.ndim != 4)
    assert sum(t.nbytes for t in encoded.values()) == 2 * weights + rest
    assert sum(t.nbytes for t in difference.values()) == weights // 2 + weights // 32 + rest


def test_four_bits_hold_every_step() -> None:
    steps = torch.arange(-STEPS, STEPS + 1, dtype=torch.int8).repeat(2)
    packed = _pack(steps)
    assert len(packed) == len(steps) // 2
    assert torch.equal(_unpack(packed), steps)


def test_no_difference_and_a_tiny_one(base: State) -> None:
    assert same(decode(encode(base, base), base, "again"), base)
    network = base | {"conv1.weight": base["conv1.weight"] + 1e-42}
    assert same(decode(encode(network, base), base, "again"), base)


SMALL = "layer1.0.conv1.weight"


@pytest.mark.parametrize(
    ("change", "saying"),
    [
        (lambda s: s.pop(SMALL), "lacks 'layer1.0.conv1.weight'"),
        (lambda s: s.pop("fc.bias"), "lacks 'fc.bias'"),
        (lambda s: s.update(more=torch.zeros(1)), "also holds 'more'"),
        (lambda s: s.update({SMALL: s[SMALL].short()}), "is torch.int16"),
        (lambda s: s.update({SMALL: s[SMALL].flatten()[:-1]}), r"not torch\.\w+ \["),
        (lambda s: s.update({"fc.bias": torch.zeros(3)}), r"is torch.float32 \[3\], not"),
        (lambda s: s.update({"fc.bias": torch.zeros(2).double()}), "float64"),
        (lambda s: s["bn1.bias"].fill_(torch.nan), "not finite, in bn1.bias"),
        (lambda s: s["bn1.running_var"].fill_(-1), "variances below zero"),
        (lambda s: s["fc.weight"].fill_(torch.inf), "not finite, in its last layer"),
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_what_is_no_stored_network_is_refused(
    change: Callable[[State], object],
    saying: str,
    whole: bool,
    encoded: State,
    difference: State,
    base: State,
) -> None:
    stored = {name: tensor.clone() for name, tensor in (encoded if whole else difference).items()}
    change(stored)
    with pytest.raises(UserError, match=rf"^a file.*{saying}"):
        decode(stored, None if whole else base, "a file")


@pytest.mark.parametrize(
    ("change", "saying"),
    [
        (lambda s: s.pop(SMALL + SCALE), "lacks"),
        (lambda s: s.update({SMALL + SCALE: s[SMALL + SCALE].float()}), "float32"),
        (lambda s: s.update({SMALL + SCALE: s[SMALL + SCALE][1:]}), r"\[575\], not"),
        (lambda s: s[SMALL + SCALE].zero_(), r"a scale of layer1.0.conv1.weight is not above 0"),
        (lambda s: s[SMALL + SCALE].fill_(torch.nan), "not above 0"),
        (lambda s: s[SMALL + SCALE].fill_(-1), "not above 0"),
        (lambda s: s[SMALL + SCALE].fill_(torch.inf), r"not finite, in layer1.0.conv1.weight"),
        (lambda s: s[SMALL + SCALE].fill_(3e38), r"not finite, in layer1.0.conv1.weight"),
    ],
)
def test_scales_that_are_none_are_refused(
    change: Callable[[State], object], saying: str, difference: State, base: State
) -> None:
    stored = {name: tensor.clone() for name, tensor in difference.items()}
    change(stored)
    with pytest.raises(UserError, match=rf"^a file.*{saying}"):
        decode(stored, base, "a file")


def test_the_other_kind_is_refused(encoded: State, difference: State, base: State) -> None:
    for stored, on in ((encoded, base), (difference, None)):
        with pytest.raises(UserError, match=r"is torch|scale"):
            decode(stored, on, "a file")


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.pop("fc.weight"),
        lambda s: s.pop(SMALL),
        lambda s: s.update({SMALL: torch.full((64, 64, 3, 3), torch.nan)}),
        lambda s: s.update({"fc.bias": torch.tensor([0, torch.inf])}),
    ],
)
def test_what_is_no_network_is_not_stored(
    change: Callable[[dict[str, Tensor]], object], networks: dict[str, State]
) -> None:
    network = dict(networks["federated"])
    change(network)
    with pytest.raises(UserError, match="the network that is to be stored"):
        encode(network)

"""A network's convolutions in 16 bits a weight, or in 4 as what they differ by from another's.

Networks that training began at one place differ by little. The differences are rounded to seven
steps each way, with a scale for every 64 weights, as Wu, Judd, Zhang, Isaev, Micikevicius: Integer
Quantization for Deep Learning Inference, 2020, arXiv:2004.09602, have it for a channel.
Normalisation and the head are few numbers and stay FP32. What was decoded once comes out of another
round of it unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import torch
from torch import Tensor

from fedmed.backbones.resnet18 import WIDTH
from fedmed.backbones.weights import State, check_state, is_finite, shapes
from fedmed.errors import UserError
from fedmed.task import CLASSES

SCALE = ".scale"  # ends the name of a tensor's scales
GROUP = 64  # weights that share a scale, one after the other; it divides every layer's number
STEPS = 7  # each way, in 4 bits
HEAD = {"fc.weight": (len(CLASSES), WIDTH), "fc.bias": (len(CLASSES),)}
TINIEST = 2.0**-100  # of a scale; a group of zeros has it

Base = Mapping[str, Tensor] | None


def layout() -> dict[str, tuple[int, ...]]:
    """The shape of each of a network's tensors, its head's too, under torchvision's names."""
    trunk = {name: tuple(shape) for name, shape in shapes().items()}
    return {n: s for n, s in trunk.items() if not n.endswith("num_batches_tracked")} | HEAD


def check_network(network: Mapping[str, Tensor], where: str) -> None:
    """Refuse what is not a whole ResNet18 of two classes, of finite numbers.

    Raises:
        UserError: the message begins with `where`.
    """
    head = {name: tuple(network[name].shape) for name in HEAD if name in network}
    if head != HEAD:
        raise UserError(f"{where}: the last layer has the shapes {head}, not {HEAD}.")
    check_state(network, where)
    if not all(is_finite(network[name]) for name in head):
        raise UserError(f"{where} holds numbers that are not finite, in its last layer.")


def encode(network: Mapping[str, Tensor], base: Base = None) -> State:
    """What is stored of a network: of what it differs by from `base`, where that is given.

    Raises:
        UserError: as `check_network`.
    """
    check_network(network, "the network that is to be stored")
    stored: State = {}
    for name, shape in layout().items():
        weights = network[name].detach().float()
        if len(shape) != 4:
            stored[name] = weights.contiguous()
        elif base is None:
            stored[name] = weights.half().contiguous()
        else:
            groups = (weights - base[name]).reshape(-1, GROUP)
            # So few bits that the scale of what was decoded already is found again exactly.
            scales = (groups.abs().amax(1) / STEPS).clamp_min(TINIEST).bfloat16()
            steps = (groups / scales.float()[:, None]).round_().clamp_(-STEPS, STEPS)
            stored |= {name: _pack(steps.flatten()), name + SCALE: scales}
    return stored


def decode(stored: Mapping[str, Tensor], base: Base, where: str) -> State:
    """The FP32 network that is stored, a difference added to `base`.

    Raises:
        UserError: it is not what `encode` makes; the message begins with `where`.
    """
    wanted = _stored_layout(base is not None)
    if strange := sorted(wanted.keys() ^ stored.keys()):
        verb = "lacks" if strange[0] in wanted else "also holds"
        raise UserError(f"{where} {verb} {ascii(strange[0])[:60]}, unlike a stored network.")
    for name, (dtype, shape) in wanted.items():
        if stored[name].dtype != dtype or tuple(stored[name].shape) != shape:
            kind = f"{stored[name].dtype} {list(stored[name].shape)}"
            raise UserError(f"{where}: {name} is {kind}, not {dtype} {list(shape)}.")
    network: State = {}
    for name, shape in layout().items():
        if base is None or len(shape) != 4:
            network[name] = stored[name].float()
            continue
        scales = stored[name + SCALE].float()
        if not bool((scales > 0).all()):
            raise UserError(f"{where}: a scale of {name} is not above 0.")
        steps = _unpack(stored[name]).float().view(-1, GROUP)
        network[name] = steps.mul_(scales[:, None]).view(shape).add_(base[name])
    check_network(network, where)
    return network


def _stored_layout(difference: bool) -> dict[str, tuple[torch.dtype, tuple[int, ...]]]:
    wanted: dict[str, tuple[torch.dtype, tuple[int, ...]]] = {}
    for name, shape in layout().items():
        if len(shape) != 4:
            wanted[name] = torch.float32, shape
        elif not difference:
            wanted[name] = torch.float16, shape
        else:
            wanted[name] = torch.uint8, (prod(shape) // 2,)
            wanted[name + SCALE] = torch.bfloat16, (prod(shape) // GROUP,)
    return wanted


def _pack(steps: Tensor) -> Tensor:
    """[2 n] whole numbers from -7 to 7 to uint8 [n]: the first half in the low bits."""
    low, high = (steps + STEPS).to(torch.uint8).view(2, -1)
    return low | high << 4


def _unpack(packed: Tensor) -> Tensor:
    """What `_pack` made, as int8 [2 n]."""
    return torch.cat([packed & 15, packed >> 4]).to(torch.int8) - STEPS

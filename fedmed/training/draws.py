"""Which of a hospital's X-rays an epoch draws, where both classes are drawn equally often.

Where nearly all of a hospital's X-rays are of one class, weights in the loss leave most batches
without the other, and batch normalisation takes what its own mix looks like for what X-rays look
like: hospitals then mean different things by the same numbers, and their mean suits none (Hsieh,
Phanishayee, Mutlu, Gibbons: The Non-IID Data Quagmire of Decentralized Machine Learning, ICML 2020,
arXiv:1910.00189). Drawn equally (Shen, Lin, Huang: Relay Backpropagation, ECCV 2016), batches are
alike everywhere, and so is what normalisation keeps.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fedmed.task import CLASSES
from fedmed.training.local_training import epoch_order


class Draws(NamedTuple):
    """An epoch's X-rays in their order, as many as the site has."""

    rows: Tensor  # [n] int64
    repeats: Tensor  # [n] int64: how often the same X-ray was drawn before in this epoch


def all_once(labels: Tensor, *, seed: int, site: str, epoch: int) -> Draws:
    """Draw every X-ray once; what is drawn hangs on nothing but these arguments."""
    rows = epoch_order(seed, site, epoch, len(labels))
    return Draws(rows, torch.zeros_like(rows))


def classes_equally(labels: Tensor, *, seed: int, site: str, epoch: int) -> Draws:
    """Draw as many X-rays of each class as of the other: all of a class before any of it again.

    A site that has one class draws that.
    """
    present = [c for c in range(len(CLASSES)) if bool((labels == c).any())]
    rows, repeats = [torch.arange(0)], [torch.arange(0)]
    for place, one in enumerate(present):
        members = torch.nonzero(labels == one)[:, 0]
        wanted = len(labels) * (place + 1) // len(present) - len(labels) * place // len(present)
        times = -(-wanted // len(members))
        for repeat in range(times):
            order = epoch_order(seed, f"{site}/{one}/{repeat}", epoch, len(members))
            rows.append(members[order[: wanted - repeat * len(members)]])
            repeats.append(torch.full((len(rows[-1]),), repeat))
    mixed = epoch_order(seed, site, epoch, len(labels))
    return Draws(torch.cat(rows)[mixed], torch.cat(repeats)[mixed])

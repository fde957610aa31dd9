"""What the closed forms share: one message of sums from each hospital, and a solution of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fedmed.errors import UserError
from fedmed.federated.algorithm import Round
from fedmed.federated.messages import Layout
from fedmed.task import CLASSES
from fedmed.training.local_training import Site, one_thread
from fedmed.training.rows import Rows, rows
from fedmed.training.tensors import Tensors, group, join, repeat, under


@dataclass(frozen=True)
class ClosedForm:
    """A head that the server solves for, from sums over features which the hospitals send once.

    Sums add up, so the head is the one that all X-rays in one place would give, however patients
    are dealt. A hospital sends its mean over its images, in float64; the mean of those, weighted by
    numbers of images, is the mean over everybody's. A class says what is summed (`sums`) and what
    head solves it (`solve`); what a hospital keeps is the head of its own sums.
    """

    name: ClassVar[str]
    sends: ClassVar[str]
    words: ClassVar[str]
    additive: ClassVar[bool] = True
    weighs_images: ClassVar[bool] = False  # the sums do
    most_rounds: ClassVar[int | None] = 1
    needs_features: ClassVar[bool] = True
    needs_everyone: ClassVar[bool] = True

    def init(self, model: Tensors, samples: Tensor) -> tuple[Tensors, Tensors]:
        return under("model", model), under("model", repeat(model, len(samples)))

    def broadcast(self, server: Tensors) -> Tensors:
        return {}

    @one_thread()
    def local(
        self, received: Tensors, own: Tensors, sites: Sequence[Site], now: Round
    ) -> tuple[Tensors, Tensors]:
        sent, heads = [], []
        for site in sites:
            self.check(site)
            parts = [self.sums(part) for part in rows(site, now.optimisation)]
            total = {name: torch.stack([part[name] for part in parts]).sum(0) for name in parts[0]}
            sent.append(repeat(total, 1))
            heads.append(repeat(self.solve(total), 1))
        return join(sent), under("model", join(heads))

    def check(self, site: Site) -> None:
        """Refuse a hospital that must not send its sums."""

    def sums(self, part: Rows) -> Tensors:
        """Return weighted sums over one view of a hospital's images."""
        raise NotImplementedError

    def solve(self, sums: Tensors) -> Tensors:
        """Return the head, float32, that such sums make, of one hospital or of all."""
        raise NotImplementedError

    def expected(self, server: Tensors) -> Layout:
        return self.layout(self.model(server)["weight"].shape[1])

    def layout(self, width: int) -> Layout:
        """Return the layout of the sums over features of this width."""
        raise NotImplementedError

    @one_thread()
    def aggregate(self, server: Tensors, sent: Tensors, samples: Tensor, now: Round) -> Tensors:
        share = samples.double() / samples.sum()
        total = {name: torch.einsum("h,h...->...", share, sums) for name, sums in sent.items()}
        return {**under("model", self.solve(total)), **under("sums", total)}

    def finished(self, server: Tensors) -> bool:
        return False

    def model(self, kept: Tensors) -> Tensors:
        return group(kept, "model")


def refuse_few(site: Site, fewest: int, name: str) -> None:
    """Refuse second moments of so few images of a class that they give these away.

    Raises:
        UserError: the hospital has fewer than `fewest` images of a class that it has.
    """
    counts = torch.bincount(site.labels, minlength=len(CLASSES)).tolist()
    for label, count in zip(CLASSES, counts, strict=True):
        if 0 < count < fewest:
            raise UserError(
                f"{name}: {site.name} has {count} {label} X-rays, and sums of fewer than {fewest} "
                "nearly are these X-rays' features: choose fewer --hospitals, another --partition, "
                "or an --algorithm that sends no second moments, as class-means"
            )

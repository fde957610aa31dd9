"""A hospital that spoils the federation: with wrong labels, or with a wrong update."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from fedmed.federated.algorithm import Round
from fedmed.federated.messages import Layout
from fedmed.federated.poisons import factor_of
from fedmed.federated.transforms import Senders
from fedmed.training.local_training import Site
from fedmed.training.tensors import Tensors


@dataclass(frozen=True)
class Poison:
    """What a poisoned hospital does: it flips its labels, or multiplies what it sends."""

    words: str  # as the option has it
    flips_labels: bool
    factor: float  # of what it sends

    @classmethod
    def parse(cls, text: str) -> Poison:
        """Read `label-flip`, `sign-flip` or `scale:100`.

        Raises:
            UserError: it is none of these.
        """
        return cls(text, text == "label-flip", factor_of(text))

    def site(self, site: Site) -> Site:
        """Return the poisoned hospital's X-rays, as it trains on them."""
        return FlippedSite(site) if self.flips_labels else site

    def transforms(self, hospital: str) -> tuple[PoisonedUpdates, ...]:
        """Return what is done to this hospital's messages."""
        return () if self.factor == 1 else (PoisonedUpdates(hospital, self.factor),)


class FlippedSite:
    """A site that takes each class for the other."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.labels = 1 - site.labels

    def __getattr__(self, name: str) -> Any:
        return getattr(self._site, name)


@dataclass(frozen=True)
class PoisonedUpdates:
    """A `Transform` that multiplies all that one hospital sends; the server takes it as it comes.

    Bagdasaryan, Veit, Hua, Estrin, Shmatikov: How To Backdoor Federated Learning, AISTATS 2020,
    arXiv:1807.00459 (an update scaled up); flipped signs as in Blanchard et al. 2017.
    """

    hospital: str
    factor: float
    name: ClassVar[str] = "poison"
    hides: ClassVar[bool] = False

    def layout(self, plain: Layout) -> Layout:
        return plain

    def send(
        self, plain: Tensors, kept: Tensors, senders: Senders, now: Round
    ) -> tuple[Tensors, Tensors]:
        factors = [self.factor if name == self.hospital else 1.0 for name in senders.names]
        return {
            name: tensor * tensor.new_tensor(factors).reshape(-1, *[1] * (tensor.ndim - 1))
            for name, tensor in plain.items()
        }, kept

    def receive(
        self, sent: Tensors, plain: Layout, senders: Senders, now: Round
    ) -> tuple[Tensors, Senders]:
        return sent, senders

"""Class means that are private towards everyone: one release a hospital, with noise of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from fedmed.errors import UserError
from fedmed.federated.algorithm import Round
from fedmed.federated.algorithms.class_means import ClassMeans
from fedmed.federated.algorithms.lda import constant
from fedmed.federated.messages import Layout
from fedmed.privacy.mechanism import Mechanism
from fedmed.privacy.noise import add_noise
from fedmed.privacy.outbox import Outbox
from fedmed.privacy.rows import Space
from fedmed.training.local_training import Site, one_thread
from fedmed.training.rows import head_of
from fedmed.training.tensors import Tensors, group, join, repeat, under


@dataclass(frozen=True)
class PrivateClassMeans(ClassMeans):
    """Sums of patients' rows by class, each row no longer than 1, and Gaussian noise on every one.

    A row ends in 1 / sqrt 2, so that its sum counts the patients: one patient more or less moves
    all that a hospital sends by 1 at most (C. Dwork, F. McSherry, K. Nissim, A. Smith: Calibrating
    Noise to Sensitivity in Private Data Analysis, TCC 2006, with Gaussian noise). How far patients
    lie from their class's mean is not sent: the public radius stands for it, which moves no answer
    across 0.5.
    """

    mechanism: Mechanism | None = None
    space: Space | None = None
    outbox: Outbox | None = None

    @one_thread()
    def local(
        self, received: Tensors, own: Tensors, sites: Sequence[Site], now: Round
    ) -> tuple[Tensors, Tensors]:
        names = [site.name for site in sites]
        sent = self.outbox.find(names, now.epochs) if self.outbox else None
        if sent is None:
            sent = join([repeat(self.release(site), 1) for site in sites])
            if self.outbox:
                self.outbox.keep(sent, names, now.epochs)
        heads = [self.solve({"sums": sums}) for sums in sent["sums"]]
        return sent, under("model", join([repeat(head, 1) for head in heads]))

    def exact(self, site: Site) -> torch.Tensor:
        """Return the sums [2, F + 1] of a hospital's rows by class, without noise."""
        assert self.space is not None
        rows = self.space.rows(site.epoch(0))
        if not bool(rows.isfinite().all()):
            raise UserError(
                f"{site.name}: a feature is NaN or infinite, which no noise can hide: leave out "
                "that X-ray"
            )
        return torch.stack([rows[site.labels == label].sum(0) for label in (0, 1)])

    def release(self, site: Site) -> Tensors:
        """Return what a hospital sends; each call draws noise, and spends the budget, anew."""
        assert self.mechanism is not None
        noisy = add_noise(self.exact(site).numpy(), self.mechanism.noise)
        return {"sums": torch.from_numpy(noisy) / max(1, len(site.labels))}

    def layout(self, width: int) -> Layout:
        return {"sums": ("F64", [2, width + 1])}

    def solve(self, sums: Tensors) -> Tensors:
        assert self.space is not None
        rows, counts = sums["sums"][:, :-1], sums["sums"][:, -1]
        if bool((counts <= 1e-9).any()):  # noise may leave a class with less than nobody
            return constant(counts, rows.shape[1])
        means = rows / counts[:, None]
        direction = means[1] - means[0]
        lengths = means.square().sum(1)
        weight = direction / self.space.radius
        bias = (lengths[0] - lengths[1]) / 2 - weight @ self.space.centre
        return head_of(torch.cat([weight, bias[None]]))

    def model(self, kept: Tensors) -> Tensors:
        return group(kept, "model")

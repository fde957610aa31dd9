"""Local training that is private towards everyone, the server included: noise at each hospital."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fedmed.errors import UserError
from fedmed.privacy.mechanism import Mechanism
from fedmed.privacy.noise import add_noise
from fedmed.privacy.outbox import Outbox
from fedmed.privacy.rows import Space
from fedmed.training.gradient import Batch, Gradient, HeadBatch, pack, unpack
from fedmed.training.local_training import Site, one_thread
from fedmed.training.optimizer import Optimisation
from fedmed.training.tensors import Tensors, join, pick, repeat


@dataclass(frozen=True)
class PrivateGradient:
    """The mean of clipped gradients and noise: all that a step learns of a hospital's patients."""

    clip: float
    noise: float  # standard deviation on each number of the sum
    size: int  # patients, public

    def __call__(self, batch: Batch) -> Tensors:
        shrunk = (self.clip / batch.norms().clamp_min(1e-12)).clamp(max=1)
        summed = batch.gradient(shrunk)
        return {
            name: torch.from_numpy(add_noise(tensor.numpy(), self.noise)) / self.size
            for name, tensor in summed.items()
        }


@dataclass(frozen=True, eq=False)
class PrivateTrainer:
    """A Trainer of heads, one plain gradient step on all patients an epoch, noise on each.

    Sites hold one row a patient. Optimisation and seed are not asked: steps are the mechanism's,
    classes weigh as they are (to weigh them, the server would have to be told their counts), and
    noise has no seed. Two calls for the same epochs give different heads and spend twice, unless an
    outbox keeps what was sent.
    """

    mechanism: Mechanism
    space: Space
    outbox: Outbox | None = None

    @torch.no_grad()
    @one_thread()
    def __call__(
        self,
        start: Tensors,
        sites: Sequence[Site],
        epochs: range,
        optimisation: Optimisation,
        *,
        seed: int,
        gradient: Gradient | None = None,
    ) -> Tensors:
        """Train head h on site h for the given epochs: [H, ...] -> [H, ...] each.

        Raises:
            UserError: the algorithm changes the gradient, the budget is spent, or training
                diverged.
        """
        if gradient is not None:
            raise UserError(
                "--epsilon bounds the loss's own gradient, and this algorithm takes its steps "
                "along another: choose --algorithm fedavg, or leave out --epsilon"
            )
        names = [site.name for site in sites]
        if self.outbox and (sent := self.outbox.find(names, epochs)):
            return sent
        self.mechanism.allow(epochs.stop)
        trained = join(
            [
                repeat(self._train(pick(start, place), site, epochs), 1)
                for place, site in enumerate(sites)
            ]
        )
        if self.outbox:
            self.outbox.keep(trained, names, epochs)
        return trained

    def _train(self, start: Tensors, site: Site, epochs: range) -> Tensors:
        rows = self.space.rows(site.epoch(epochs.start))
        count = len(rows)
        if not bool(rows.isfinite().all()):
            raise UserError(
                f"{site.name}: a feature is NaN or infinite, which no noise can hide: leave out "
                "that X-ray, or lower --learning-rate where a network made it"
            )
        private = PrivateGradient(self.mechanism.clip, self.mechanism.noise, count)
        head = self.space.enter(pack(repeat(start, 1)).double())
        alike = torch.full((1, count), 1 / max(count, 1), dtype=torch.float64)
        for _ in epochs:
            batch = HeadBatch(
                torch.zeros(1, dtype=torch.int64),
                head,
                rows[None],
                site.labels[None],
                alike,
                torch.ones(1, count, dtype=torch.bool),
            )
            head = head - self.mechanism.step * _apart(pack(private(batch)))
        return pick(
            {n: t.float().contiguous() for n, t in unpack(self.space.leave(head)).items()}, 0
        )


def _apart(step: Tensor) -> Tensor:
    """Leave out of a step [1, C, F + 1] what it does to all classes alike: mere noise."""
    return step - step.mean(1, keepdim=True)

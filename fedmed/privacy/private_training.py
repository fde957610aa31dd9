"""Local training that is private towards everyone, the server included: noise at each hospital."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fedmed.errors import UserError
from fedmed.federated.algorithm import Algorithm
from fedmed.federated.algorithms.scaffold import Scaffold
from fedmed.privacy.mechanism import Mechanism
from fedmed.privacy.noise import add_noise
from fedmed.privacy.outbox import Outbox
from fedmed.privacy.rows import Space
from fedmed.training.gradient import Batch, Gradient, HeadBatch, pack, unpack
from fedmed.training.local_training import Site, one_thread
from fedmed.training.optimizer import Optimisation
from fedmed.training.tensors import Tensors, join, pick, repeat

EVERYONE = 2**31  # more patients than a hospital has: all are in every batch


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


@dataclass(frozen=True)
class PrivateBatch:
    """The `Batch` that an algorithm gets to see: the private gradient, and nothing of a patient.

    So whatever it makes of a step, FedProx's pull or SCAFFOLD's correction, costs no privacy.
    """

    hospitals: Tensor
    model: Tensors
    weights: Tensor
    released: Tensors  # [1, ...] each, as a step along it leads in features

    def norms(self) -> Tensor:
        """Refuse to tell: the length of a patient's gradient is the patient's own."""
        raise UserError(_OTHERWISE)

    def gradient(self, weights: Tensor | None = None) -> Tensors:
        """Return the private gradient; no image's weight can be changed in it."""
        if weights is not None:
            raise UserError(_OTHERWISE)
        return self.released


_OTHERWISE = (
    "--epsilon clips and sums patients' gradients in its own way, and this algorithm asks for "
    "another: choose --algorithm fedavg, or leave out --epsilon"
)


@dataclass(frozen=True, eq=False)
class PrivateTrainer:
    """A Trainer of heads, one plain gradient step on all patients an epoch, noise on each.

    Sites hold one row a patient. Of the optimisation only the length of a step is asked, and that
    only where an algorithm makes its own; `optimisation` says what else holds. Noise has no seed:
    two calls for the same epochs give different heads and spend twice, unless an outbox keeps what
    was sent.
    """

    mechanism: Mechanism
    space: Space
    outbox: Outbox | None = None

    def optimisation(self, together: Optimisation) -> Optimisation:
        """How hospitals train that would train as `together` without privacy.

        Steps are the mechanism's, all patients are in each, and no class weighs more: to weigh
        them, the server would have to be told their counts.
        """
        return replace(
            together,
            rule="sgd",
            learning_rate=self.mechanism.step,
            batch_size=EVERYONE,
            class_weights=(1.0, 1.0),
            weight_decay=0.0,
        )

    def fit(self, algorithm: Algorithm) -> Algorithm:
        """Return the algorithm with steps as long as noise allows, where it chooses its own."""
        if isinstance(algorithm, Scaffold):
            return replace(algorithm, local_step=self.mechanism.step)
        return algorithm

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
            UserError: the algorithm asks for more than the private gradient, the budget is spent,
                or training diverged.
        """
        names = [site.name for site in sites]
        if self.outbox and (sent := self.outbox.find(names, epochs)):
            return sent
        self.mechanism.allow(epochs.stop)
        trained = join(
            [
                repeat(
                    self._train(place, pick(start, place), site, epochs, optimisation, gradient), 1
                )
                for place, site in enumerate(sites)
            ]
        )
        if self.outbox:
            self.outbox.keep(trained, names, epochs)
        return trained

    def _train(
        self,
        place: int,
        start: Tensors,
        site: Site,
        epochs: range,
        optimisation: Optimisation,
        gradient: Gradient | None,
    ) -> Tensors:
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
            released = _apart(pack(private(batch)))
            if gradient is None:
                head = head - self.mechanism.step * released
                continue
            seen = PrivateBatch(
                hospitals=torch.tensor([place]),
                model=unpack(self.space.leave(head)),
                weights=alike,
                released=unpack(self.space.leave(released)),
            )
            step = self.space.enter(pack(gradient(seen)))
            head = head - optimisation.learning_rate * step
        return pick(
            {n: t.float().contiguous() for n, t in unpack(self.space.leave(head)).items()}, 0
        )


def _apart(step: Tensor) -> Tensor:
    """Leave out of a step [1, C, F + 1] what it does to all classes alike: mere noise."""
    return step - step.mean(1, keepdim=True)

"""How a run of the lab federates: who takes part, on what, how, and through what messages go."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from fedmed.experiment.protection import Protection, by_noise
from fedmed.federated.algorithms import ALGORITHMS
from fedmed.federated.algorithms.moments import Moments
from fedmed.federated.attendance import Attendance
from fedmed.federated.channel import Channel
from fedmed.federated.poison import Poison
from fedmed.federated.rounds import federate
from fedmed.federated.state import State
from fedmed.lab.alone import Alone
from fedmed.lab.cohort import LabCohort, mixes
from fedmed.lab.settings import LabSettings
from fedmed.privacy.accountant import epsilon_of
from fedmed.training.heads import new_heads
from fedmed.training.local_training import train_heads
from fedmed.training.optimizer import Optimisation
from fedmed.training.recipe import RECIPES
from fedmed.training.tensors import pick


@dataclass(frozen=True)
class Presence(Attendance):
    """Attendance in which some hospitals are late: they are asked and miss every second round."""

    late: tuple[int, ...] = ()  # places

    @property
    def is_everyone(self) -> bool:
        return super().is_everyone and not self.late

    def draw(self, count: int, number: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        invited, present = super().draw(count, number, seed)
        if number % 2 == 0:
            in_time = torch.tensor([place not in self.late for place in present.tolist()])
            # One hospital at least is waited for.
            present = present[in_time] if bool(in_time.any()) else present[:1]
        return invited, present


class Federation:
    """A run's hospitals and how they federate."""

    def __init__(self, cohort: LabCohort, alone: Alone, settings: LabSettings) -> None:
        self.settings, self.alone = settings, alone
        parts = self.alone.parts
        self.mixes = mixes(cohort.stored.training, parts)
        names = [f"hospital_{number}" for number in range(1, len(parts) + 1)]
        self.every = self.alone.sites
        here = [place for place in range(len(parts)) if place + 1 not in settings.off]
        self.sites_here = [self.every[place] for place in here]
        algorithm = ALGORITHMS[settings.algorithm]()
        if isinstance(algorithm, Moments):  # of public X-rays any sums may be sent
            algorithm = replace(algorithm, fewest=0)
        protection = Protection(self.sites_here, train_heads, None, None, settings.format)
        if settings.epsilon is not None:
            patients = [cohort.patient_site(names[place], parts[place]) for place in here]
            protection = by_noise(settings, patients, cohort.space, settings.format)
        self.mechanism, self.trainer = protection.mechanism, protection.trainer
        self.algorithm = protection.fit(algorithm)
        self.optimisation = protection.optimisation(
            optimisation_of(torch.cat([site.labels for site in self.sites_here]))
        )
        sites = list(protection.sites)
        self.channel = Channel.of(settings.format)
        if settings.poison and settings.spoiled:
            poison, spoiled = Poison.parse(settings.poison), names[settings.spoiled - 1]
            sites = [poison.site(site) if site.name == spoiled else site for site in sites]
            self.channel = replace(self.channel, up=(*poison.transforms(spoiled), *self.channel.up))
        self.sites = sites
        self.attendance = Presence(
            settings.participation,
            settings.drop_out,
            tuple(here.index(number - 1) for number in settings.late),
        )
        self.start = pick(new_heads(1, cohort.width).tensors(), 0)

    def go_on(self, state: State | None, rounds: int) -> State:
        """The state after so many rounds, from the one before."""
        return federate(
            self.sites,
            algorithm=self.algorithm,
            model=self.start,
            rounds=rounds,
            local_epochs=self.settings.local_epochs,
            optimisation=self.optimisation,
            channel=self.channel,
            trainer=self.trainer,
            attendance=self.attendance,
            seed=self.settings.seed,
            state=state,
            every_round=False,
        )

    def spent(self, rounds: int) -> float | None:
        """The epsilon that so many rounds have spent, at the settings' delta."""
        if self.mechanism is None:
            return None
        if self.mechanism.means:  # all in the only round
            return self.settings.epsilon
        steps = rounds * self.settings.local_epochs
        return epsilon_of(
            self.mechanism.mu * (steps / self.mechanism.steps) ** 0.5, self.settings.delta
        )


def optimisation_of(labels: torch.Tensor) -> Optimisation:
    """How all train together who hold X-rays of these classes: both classes weigh the same."""
    normal, pneumonia = torch.bincount(labels, minlength=2).tolist()
    weights = RECIPES["robust"].class_weights(max(normal, 1), max(pneumonia, 1))
    return Optimisation(class_weights=weights)

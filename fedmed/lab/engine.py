"""A visitor's federation: settings in, one event for each round out, trained at that moment.

What trains is what train.py runs: `federated.rounds.federate`, its algorithms, channels and private
trainer. Nothing here is drawn from a formula.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch

from fedmed.evaluation.bootstrap import auc_statistic
from fedmed.federated.algorithm import Trainer
from fedmed.federated.algorithms import ALGORITHMS
from fedmed.federated.algorithms.moments import Moments
from fedmed.federated.attendance import Attendance
from fedmed.federated.channel import Channel
from fedmed.federated.poison import Poison
from fedmed.federated.rounds import federate
from fedmed.federated.state import State
from fedmed.lab.cohort import LabCohort, deal, mixes
from fedmed.lab.settings import LabSettings
from fedmed.lab.told import told
from fedmed.privacy.accountant import epsilon_of
from fedmed.privacy.mechanism import Mechanism
from fedmed.privacy.membership import Target, confidence, within_class
from fedmed.privacy.private_training import PrivateTrainer
from fedmed.training.heads import Heads, new_heads, stack
from fedmed.training.local_training import Site, one_thread, train, train_heads
from fedmed.training.logistic import optimum
from fedmed.training.optimizer import Optimisation
from fedmed.training.recipe import RECIPES
from fedmed.training.rows import EveryRow, head_of
from fedmed.training.tensors import pick

Event = dict[str, Any]

CENTRAL_EPOCHS = 10  # as train.py's
DELTA = 1e-5


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


class Lab:
    """The engine, with what no run changes computed once: the optimum, central training."""

    def __init__(self, cohort: LabCohort) -> None:
        self.cohort = cohort
        self.width = cohort.stored.views.shape[2]
        self.everything = cohort.everything()
        self.yardstick = lru_cache(maxsize=1)(self._yardstick)
        self.central = lru_cache(maxsize=8)(self._central)
        self.alone = lru_cache(maxsize=8)(self._alone)

    def ahead(self) -> Iterator[None]:
        """Compute ahead what a run with the default settings needs, a piece at each step."""
        default = LabSettings()
        self.central(default.seed)
        yield
        self.yardstick()
        yield
        alone = _Federation(self, default).alone
        for number in range(1, default.rounds + 1):
            alone.after(number)
            yield

    @property
    def is_ready(self) -> bool:
        """Whether the yardsticks were computed."""
        return self.yardstick.cache_info().currsize > 0

    def _optimisation(self, labels: torch.Tensor) -> Optimisation:
        normal, pneumonia = torch.bincount(labels, minlength=2).tolist()
        weights = RECIPES["robust"].class_weights(max(normal, 1), max(pneumonia, 1))
        return Optimisation(class_weights=weights)

    @one_thread()
    def _yardstick(self) -> dict[str, float]:
        """The exact optimum's scores, by Newton's method over all hospitals' X-rays."""
        rows = EveryRow(self.everything, self._optimisation(self.cohort.labels))
        return self.cohort.scores(Heads.of(head_of(optimum(rows))))[0]

    def _central(self, seed: int) -> Heads:
        return train(
            new_heads(1, self.width),
            [self.everything],
            range(CENTRAL_EPOCHS),
            self._optimisation(self.cohort.labels),
            seed=seed,
        )

    def _alone(
        self, partition: str, hospitals: int, skew: float, alpha: float, seed: int, epochs: int
    ) -> Alone:
        """Every hospital of a deal alone: the same whatever else a run sets."""
        settings = LabSettings(
            partition=partition, hospitals=hospitals, skew=skew, alpha=alpha, seed=seed
        )
        return Alone(self, deal(self.cohort.stored.training, settings), epochs, seed)

    def run(self, settings: LabSettings) -> Iterator[Event]:
        """Yield an event for each round, then one with the summary.

        A round's `models` are `federated`, `central` (trained once, on everything) and each
        hospital alone, after as many epochs as in the federation so far. What was computed ahead,
        `central` and the exact optimum (beside `models`), comes with every round, else later.

        Raises:
            UserError: the X-rays are too few for such hospitals, or training diverged.
        """
        begun = time.monotonic()
        federation = _Federation(self, settings)
        names = [site.name for site in federation.every]
        state: State | None = None
        history: list[Event] = []
        for number in range(1, settings.rounds + 1):
            after = federation.go_on(state, number)
            if state is not None and after.round == state.round:
                break  # the algorithm has come to its end
            state = after
            once = federation.algorithm.most_rounds == 1  # alone, a hospital has all the time
            alone = federation.alone.after(settings.rounds if once else number)
            models = {"federated": self.cohort.scores(Heads.of(state.model))[0]}
            models |= zip(names, alone.scores, strict=True)
            if number > 1 or self.is_ready:  # the first point comes first
                models["central"] = self.cohort.scores(self.central(settings.seed))[0]
            event: Event = {
                "round": number,
                "models": models,
                "bytes_up": state.ledger.up[-1],
                "bytes_down": state.ledger.down[-1],
            }
            if self.is_ready:
                event["optimum"] = self.yardstick()
            if (spent := federation.spent(number)) is not None:
                event["epsilon"] = spent
            history.append(event)
            yield event
        if state is None:
            raise AssertionError("a run has a round at least")
        yield {"summary": self._summary(federation, history, Heads.of(state.model), begun)} | {
            "heads": _packed(
                stack([self.central(settings.seed), Heads.of(state.model), alone.heads])
            )
        }

    def _summary(
        self, federation: _Federation, history: list[Event], last: Heads, begun: float
    ) -> Event:
        settings = federation.settings
        end = history[-1]["models"]
        central = self.cohort.scores(self.central(settings.seed))[0]
        alone = {name: end[name] for name in (site.name for site in federation.every)}
        summary: Event = {
            "settings": settings.as_json(),
            "rounds": len(history),
            "federated": end["federated"],
            "central": central,
            "optimum": self.yardstick(),
            "alone": alone,
            "gains": {
                name: end["federated"]["balanced_accuracy"] - scores["balanced_accuracy"]
                for name, scores in alone.items()
            },
            "patients": dict(zip(alone, federation.mixes, strict=True)),
            "bytes": sum(
                sum(event[way].values()) for event in history for way in ("bytes_up", "bytes_down")
            ),
            "validation": len(self.cohort.truth),
        }
        if settings.epsilon is not None:
            summary["privacy"] = {
                "epsilon": history[-1]["epsilon"],
                "delta": DELTA,
                "unit": "patient",
                "reproducible": False,  # noise has no seed
            }
        if settings.attack:
            summary["attack"] = self._attack(last)
        summary["sentence"] = told(summary)
        summary["seconds"] = round(time.monotonic() - begun, 3)
        return summary

    def _attack(self, heads: Heads) -> Event:
        """The loss attack on a model: who was in the training set, told by how sure it is."""
        stored = self.cohort.stored
        ours, theirs = stored.training, stored.validation
        _, inside = np.unique(ours.patients, return_inverse=True)
        _, outside = np.unique(theirs.patients, return_inverse=True)
        members = np.r_[np.ones(inside.max() + 1, bool), np.zeros(outside.max() + 1, bool)]
        target = Target(
            torch.cat([stored.views[0], stored.features]),
            torch.from_numpy(np.r_[ours.labels, theirs.labels]),
            np.r_[inside, outside + inside.max() + 1],
            members,
        )
        scores = within_class(confidence(heads, target), target)
        area = auc_statistic(scores, members.astype(int))(np.ones((1, len(members))))[0, 0]
        return {"auc": float(area), "members": int(members.sum()), "others": int((~members).sum())}


class Alone:
    """Every hospital trained without the others, in as many rounds as are asked for.

    Each weighs its classes alike by its own counts, for it knows nobody else's. What was trained is
    kept, for the next run of the same deal.
    """

    def __init__(self, lab: Lab, parts: list[np.ndarray], epochs: int, seed: int) -> None:
        self.parts, self.epochs, self.seed = parts, epochs, seed
        self.sites = [
            lab.cohort.site(f"hospital_{number}", part) for number, part in enumerate(parts, 1)
        ]
        self._scores = lab.cohort.scores
        self._optimisation = Optimisation(class_weights=None)
        self._heads = new_heads(len(parts), lab.width)
        self._done: list[Trained] = []

    def after(self, rounds: int) -> Trained:
        """The hospitals after so many rounds."""
        for done in range(len(self._done), rounds):
            epochs = range(done * self.epochs, (done + 1) * self.epochs)
            self._heads = train(self._heads, self.sites, epochs, self._optimisation, seed=self.seed)
            self._done.append(Trained(self._heads, self._scores(self._heads)))
        return self._done[rounds - 1]


class Trained(NamedTuple):
    """The hospitals' heads after some rounds, and their scores."""

    heads: Heads
    scores: list[dict[str, float]]


class _Federation:
    """A run's hospitals and how they federate."""

    def __init__(self, lab: Lab, settings: LabSettings) -> None:
        cohort, self.settings = lab.cohort, settings
        self.alone = lab.alone(
            settings.partition,
            settings.hospitals,
            settings.skew,
            settings.alpha,
            settings.seed,
            settings.local_epochs,
        )
        parts = self.alone.parts
        self.mixes = mixes(cohort.stored.training, parts)
        names = [f"hospital_{number}" for number in range(1, len(parts) + 1)]
        self.every = self.alone.sites
        here = [place for place in range(len(parts)) if place + 1 not in settings.off]
        self.optimisation = lab._optimisation(
            torch.cat([self.every[place].labels for place in here])
        )
        self.algorithm = ALGORITHMS[settings.algorithm]()
        if isinstance(self.algorithm, Moments):  # of public X-rays any sums may be sent
            self.algorithm = replace(self.algorithm, fewest=0)
        sites: list[Site] = [self.every[place] for place in here]
        self.trainer: Trainer = train_heads
        self.mechanism: Mechanism | None = None
        if settings.epsilon is not None:
            sites = [cohort.patient_site(names[place], parts[place]) for place in here]
            self.mechanism = Mechanism.of(
                settings.epsilon,
                DELTA,
                settings.rounds * settings.local_epochs,
                patients=sum(len(site.labels) for site in sites),
                hospitals=len(sites),
            )
            self.trainer = PrivateTrainer(self.mechanism, cohort.space)
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
        self.start = pick(new_heads(1, lab.width).tensors(), 0)

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
        """The epsilon that so many rounds have spent, at DELTA."""
        if self.mechanism is None:
            return None
        steps = rounds * self.settings.local_epochs
        return epsilon_of(self.mechanism.mu * (steps / self.mechanism.steps) ** 0.5, DELTA)


def _packed(heads: Heads) -> list[list[float]]:
    """Heads as numbers, each 2 x 512 weights and 2 biases: central, federated, hospitals."""
    flat = torch.cat([heads.weight.flatten(1), heads.bias], 1)
    return [[float(number) for number in row] for row in flat.tolist()]

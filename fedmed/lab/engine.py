"""A visitor's federation: settings in, one event for each round out, trained at that moment.

What trains is what train.py runs: `federated.rounds.federate`, its algorithms, channels and private
trainer. Nothing here is drawn from a formula.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from fedmed.evaluation.bootstrap import auc_statistic
from fedmed.federated.state import State
from fedmed.lab.alone import Alone
from fedmed.lab.cohort import LabCohort, deal
from fedmed.lab.federation import Federation, optimisation_of
from fedmed.lab.settings import LabSettings
from fedmed.lab.told import told
from fedmed.privacy.membership import Target, confidence, within_class
from fedmed.task import CLASSES
from fedmed.training.heads import Heads, new_heads, stack
from fedmed.training.local_training import one_thread, train
from fedmed.training.logistic import optimum
from fedmed.training.rows import EveryRow, head_of

Event = dict[str, Any]

CENTRAL_EPOCHS = 10  # as train.py's


class Lab:
    """The engine, with what no run changes computed once: the optimum, central training."""

    def __init__(self, cohort: LabCohort) -> None:
        self.cohort = cohort
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
        alone = self.alone_in(default)
        for number in range(1, default.rounds + 1):
            alone.after(number)
            yield

    @property
    def is_ready(self) -> bool:
        """Whether the yardsticks were computed."""
        return self.yardstick.cache_info().currsize > 0

    @one_thread()
    def _yardstick(self) -> dict[str, float]:
        """The exact optimum's scores, by Newton's method over all hospitals' X-rays."""
        rows = EveryRow(self.everything, optimisation_of(self.cohort.labels))
        return self.cohort.scores(Heads.of(head_of(optimum(rows))))[0]

    def _central(self, seed: int) -> Heads:
        return train(
            new_heads(1, self.cohort.width),
            [self.everything],
            range(CENTRAL_EPOCHS),
            optimisation_of(self.cohort.labels),
            seed=seed,
        )

    def alone_in(self, settings: LabSettings) -> Alone:
        """Every hospital of a run's deal alone."""
        only = LabSettings(
            partition=settings.partition,
            hospitals=settings.hospitals,
            skew=settings.skew,
            alpha=settings.alpha,
            seed=settings.seed,
            local_epochs=settings.local_epochs,
        )
        return self.alone(only)

    def _alone(self, deal_of: LabSettings) -> Alone:
        parts = deal(self.cohort.stored.training, deal_of)
        return Alone(self.cohort, parts, deal_of.local_epochs, deal_of.seed)

    def run(self, settings: LabSettings) -> Iterator[Event]:
        """Yield an event for each round, then one with the summary.

        A round's `models` are `federated`, `central` (trained once, on everything) and each
        hospital alone, after as many epochs as in the federation so far. What was computed ahead,
        `central` and the exact optimum (beside `models`), comes with every round, else later.

        Raises:
            UserError: the X-rays are too few for such hospitals, or training diverged.
        """
        begun = time.monotonic()
        federation = Federation(self.cohort, self.alone_in(settings), settings)
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
            "trained": self._trained(federation, Heads.of(state.model), alone.heads)
        }

    def _summary(
        self, federation: Federation, history: list[Event], last: Heads, begun: float
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
                "delta": settings.delta,
                "unit": "patient",
                "reproducible": False,  # noise has no seed
            }
        if settings.attack:
            summary["attack"] = self._attack(last)
        summary["sentence"] = told(summary)
        summary["seconds"] = round(time.monotonic() - begun, 3)
        return summary

    def _trained(self, federation: Federation, federated: Heads, alone: Heads) -> Event:
        """The models: each 2 x 512 weights and 2 biases, and the images of each class it saw."""
        heads = stack([self.central(federation.settings.seed), federated, alone])
        flat = torch.cat([heads.weight.flatten(1), heads.bias], 1)
        own = {site.name: _images(site.labels) for site in federation.every}
        here = torch.cat([site.labels for site in federation.sites_here])
        return {
            "heads": flat.tolist(),
            "images": {"central": _images(self.cohort.labels), "federated": _images(here)} | own,
        }

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


def _images(labels: torch.Tensor) -> dict[str, int]:
    counts = torch.bincount(labels, minlength=len(CLASSES)).tolist()
    return {str(name): count for name, count in zip(CLASSES, counts, strict=True)}

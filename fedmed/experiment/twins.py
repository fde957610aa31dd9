"""Twins of a run's models: trained in the same way, each on a random half of the same patients.

Who was in a training set can be asked fairly only where the others differ from them by nothing but
a draw. Patients held out for validation do: they are blocks of consecutive numbers, scored by
another engine, and a model that leaks nobody tells them apart all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fedmed.data.cohort import labels, patients
from fedmed.experiment.fit import Fitted, federation
from fedmed.experiment.optimisations import optimisations
from fedmed.experiment.personal import personalise
from fedmed.experiment.prepare import Prepared
from fedmed.experiment.protection import protect
from fedmed.experiment.settings import Settings
from fedmed.features.sites import TrainingSite
from fedmed.federated.algorithms.moments import Moments
from fedmed.training.heads import Heads, new_heads, stack
from fedmed.training.local_training import train


@dataclass(frozen=True, eq=False)
class Twins:
    """Heads in the order central, federated, then each hospital's own; and who was trained on."""

    heads: Heads
    inside: np.ndarray  # [n] bool, of every training X-ray


def twins(settings: Settings, prepared: Prepared, fitted: Fitted) -> Twins:
    """Train them. Nothing of them is sent, kept or published but how well they are attacked."""
    inside = draw_half(prepared, settings.seed)
    parts = [part[inside[part]] for part in prepared.parts]
    features, views = prepared.features, prepared.views
    half = replace(
        prepared,
        parts=parts,
        everything=TrainingSite("central", features, np.flatnonzero(inside), views),
        hospitals=[
            TrainingSite(name, features, part, views)
            for name, part in zip(prepared.sites, parts, strict=True)
        ],
    )
    zero = new_heads(1, prepared.validation.features.shape[1])
    central = train(
        zero, [half.everything], range(settings.epochs), fitted.optimisation, seed=settings.seed
    )
    plan = fitted.plan
    if isinstance(plan.algorithm, Moments):  # which refuses to send sums of few X-rays
        plan = replace(plan, algorithm=replace(plan.algorithm, fewest=0))
    # Masks cancel, so that without them the heads are the same but for rounding.
    protection = replace(protect(settings, half, None), keys=None)
    state = federation(settings, plan, protection, zero, fitted.optimisation, settings.format)
    local = Heads.of(plan.algorithm.model(state.own))
    if settings.personalise:
        _, alone = optimisations(settings, prepared, prepared.recipe)
        sites = plan.sites(half.hospitals)
        local = personalise(settings, Heads.of(state.model), sites, alone)
    return Twins(stack([central, Heads.of(state.model), local]), inside)


def draw_half(prepared: Prepared, seed: int) -> np.ndarray:
    """Draw half of the patients of each hospital and class, and return whose X-rays: bool [n].

    Of an odd number, a coin says which half is the larger; one patient at least is in at every
    hospital.
    """
    names, whose = np.unique(patients(prepared.training), return_inverse=True)
    kind = np.zeros(len(names), np.int64)
    kind[whose] = labels(prepared.training)
    generator = np.random.default_rng([seed, 2])
    chosen = np.zeros(len(names), bool)
    for part in prepared.parts:
        here = np.unique(whose[part])
        for label in np.unique(kind[here]):
            drawn = generator.permutation(here[kind[here] == label])
            chosen[drawn[: (len(drawn) + generator.integers(2)) // 2]] = True
        if not chosen[here].any():
            chosen[here[0]] = True
    return chosen[whose]

"""The second step of a run: heads trained centrally, federated, and at each hospital alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from fedmed.data.cohort import labels
from fedmed.errors import UserError
from fedmed.experiment.plan import Plan
from fedmed.experiment.prepare import Prepared
from fedmed.experiment.settings import Settings
from fedmed.experiment.timing import Stopwatch
from fedmed.federated.rounds import federate
from fedmed.federated.state import State
from fedmed.federated.transforms import FORMATS
from fedmed.progress import say, step
from fedmed.training.heads import Heads, new_heads, stack
from fedmed.training.local_training import train
from fedmed.training.optimizer import Optimisation
from fedmed.training.tensors import pick


@dataclass(frozen=True)
class Fitted:
    """Every head of a run."""

    central: Heads  # H = 1
    federated: Heads  # H = 1
    local: Heads  # each hospital's own, after its training in the last round
    alone: Heads  # each hospital's, trained as long without the others
    federations: Mapping[str, State]  # by update format
    plan: Plan
    optimisation: Optimisation
    unfinished: Mapping[str, str]  # why the comparison lacks a format


def fit(settings: Settings, prepared: Prepared, watch: Stopwatch) -> Fitted:
    """Train all heads on cached features. The federation runs once with each update format.

    That one of the formats that are only compared cannot hold the updates does not end the run.

    Raises:
        UserError: training diverged.
    """
    # The classes weigh the same for everybody: hospitals report how many X-rays of each they have.
    normal, pneumonia = np.bincount(labels(prepared.training), minlength=2).tolist()
    optimisation = Optimisation(
        learning_rate=settings.learning_rate,
        batch_size=settings.batch_size,
        class_weights=prepared.recipe.class_weights(normal, pneumonia),
    )
    zero = new_heads(1, prepared.validation.features.shape[1])
    with step(f"Training on everything in one place, {settings.epochs} epochs"):
        central = train(
            zero, [prepared.everything], range(settings.epochs), optimisation, seed=settings.seed
        )
    watch.lap("central")

    plan = Plan.of(settings, prepared.sites, simulated=prepared.audit["simulated"])

    def federated(format: str) -> State:
        return federate(
            plan.sites(prepared.hospitals),
            algorithm=plan.algorithm,
            model=pick(zero.tensors(), 0),
            rounds=settings.rounds,
            local_epochs=settings.local_epochs,
            optimisation=optimisation,
            channel=plan.channel(format),
            attendance=plan.attendance,
            seed=settings.seed,
            state=prepared.state.federation(format),
            on_round=prepared.state.keeper(format),
        )

    with step(f"Training federated, {settings.hospitals} hospitals, {settings.rounds} rounds"):
        sent = federated(settings.format)
    federations, unfinished = {}, {}
    for format in FORMATS:
        if format == settings.format or not plan.formats_differ(sent):
            federations[format] = sent
            continue
        with step(f"The same with updates in {format.upper()}, to compare"):
            try:
                federations[format] = federated(format)
            except UserError as error:
                unfinished[format] = str(error).rstrip(".")
                say(f"The comparison goes on without {format.upper()}: {error}")
    watch.lap("federated")

    # Alone, a hospital knows nobody's counts but its own.
    of_its_own = replace(optimisation, class_weights=None)
    with step("Training each hospital alone, as long"):
        alone = train(
            stack([zero] * settings.hospitals),
            prepared.hospitals,
            range(settings.rounds * settings.local_epochs),
            of_its_own if prepared.recipe.balanced else optimisation,
            seed=settings.seed,
        )
    watch.lap("local_only")
    return Fitted(
        central=central,
        federated=Heads.of(sent.model),
        local=Heads.of(plan.algorithm.model(sent.own)),
        alone=alone,
        federations=federations,
        plan=plan,
        optimisation=optimisation,
        unfinished=unfinished,
    )

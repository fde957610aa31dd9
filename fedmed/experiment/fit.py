"""The second step of a run: heads trained centrally, federated, and at each hospital alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fedmed.errors import UserError
from fedmed.experiment.optimisations import optimisations
from fedmed.experiment.personal import personalise
from fedmed.experiment.plan import Plan
from fedmed.experiment.prepare import Prepared
from fedmed.experiment.protection import Protection, protect, unprotected_sites
from fedmed.experiment.run_state import RunState
from fedmed.experiment.settings import Settings
from fedmed.experiment.timing import Stopwatch
from fedmed.federated.rounds import federate
from fedmed.federated.state import State
from fedmed.federated.transforms import FORMATS
from fedmed.privacy.outbox import Outbox
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
    local: Heads  # each hospital's own, after its training in the last round, or personalised
    alone: Heads  # each hospital's, trained as long without the others
    federations: Mapping[str, State]  # by update format
    plan: Plan
    optimisation: Optimisation
    unfinished: Mapping[str, str]  # why the comparison lacks a format
    protection: Protection
    unprotected: Heads | None  # of a private run, what the same gives without privacy: H = 1


def fit(
    settings: Settings, prepared: Prepared, watch: Stopwatch, sent: State | None = None
) -> Fitted:
    """Train all heads on cached features. The federation runs once with each update format.

    That one of the formats that are only compared cannot hold the updates does not end the run. A
    protected federation is not compared; a private one runs once more without privacy.
    `sent` is the federation where it ran already, between machines.

    Raises:
        UserError: training diverged.
    """
    optimisation, of_its_own = optimisations(settings, prepared, prepared.recipe)
    zero = new_heads(1, prepared.validation.features.shape[1])
    with step(f"Training on everything in one place, {settings.epochs} epochs"):
        central = train(
            zero, [prepared.everything], range(settings.epochs), optimisation, seed=settings.seed
        )
    watch.lap("central")

    plan = Plan.of(settings, prepared.sites, simulated=prepared.audit["simulated"])

    outbox = Outbox(prepared.state.outbox()) if settings.epsilon is not None else None
    protection = protect(settings, prepared, outbox)

    def federated(format: str, protection: Protection) -> State:
        return federation(
            settings, plan, protection, zero, optimisation, format, kept=prepared.state
        )

    with step(f"Training federated, {settings.hospitals} hospitals, {settings.rounds} rounds"):
        sent = sent or federated(settings.format, protection)
    federations = {settings.format: sent}
    unfinished = dict(protection.left_out)
    for format in FORMATS:
        if format in unfinished:
            continue
        if format == settings.format or not plan.formats_differ(sent):
            federations[format] = sent
            continue
        with step(f"The same with updates in {format.upper()}, to compare"):
            try:
                federations[format] = federated(format, protection)
            except UserError as error:
                unfinished[format] = str(error).rstrip(".")
                say(f"The comparison goes on without {format.upper()}: {error}")
    unprotected = None
    if protection.mechanism is not None:
        with step("The same without privacy, to compare"):
            unprotected = Heads.of(federated("unprotected", unprotected_sites(prepared)).model)
    watch.lap("federated")

    with step("Training each hospital alone, as long"):
        alone = train(
            stack([zero] * settings.hospitals),
            prepared.hospitals,
            range(settings.rounds * settings.local_epochs),
            of_its_own,
            seed=settings.seed,
        )
    watch.lap("local_only")
    local = Heads.of(plan.algorithm.model(sent.own))
    if settings.personalise:
        with step(f"Making the federated head each hospital's own: {settings.personalise}"):
            sites = plan.sites(prepared.hospitals)
            local = personalise(settings, Heads.of(sent.model), sites, of_its_own)
    return Fitted(
        central=central,
        federated=Heads.of(sent.model),
        local=local,
        alone=alone,
        federations=federations,
        plan=plan,
        optimisation=optimisation,
        unfinished=unfinished,
        protection=protection,
        unprotected=unprotected,
    )


def federation(
    settings: Settings,
    plan: Plan,
    protection: Protection,
    zero: Heads,
    optimisation: Optimisation,
    format: str,
    *,
    kept: RunState | None = None,
) -> State:
    """Run the run's federation with one update format, from `zero` or what was `kept` of it."""
    return federate(
        plan.sites(protection.sites),
        algorithm=protection.fit(plan.algorithm),
        model=pick(zero.tensors(), 0),
        rounds=settings.rounds,
        local_epochs=settings.local_epochs,
        optimisation=protection.optimisation(optimisation),
        channel=protection.wrap(plan.channel(format if format in FORMATS else "fp32")),
        trainer=protection.trainer,
        attendance=plan.attendance,
        seed=settings.seed,
        state=kept.federation(format) if kept else None,
        on_round=kept.keeper(format) if kept else None,
    )

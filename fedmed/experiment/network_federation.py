"""A federation of whole networks, in one format of its updates; and parts of a run on their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, cast

import torch

from fedmed.experiment.optimisations import optimisations
from fedmed.experiment.plan import Plan
from fedmed.experiment.prepare_network import PreparedNetwork, start_of
from fedmed.experiment.progress import Progress
from fedmed.experiment.settings import Settings
from fedmed.federated.algorithm import Algorithm
from fedmed.federated.forgetful import Forgetful
from fedmed.federated.rounds import federate
from fedmed.federated.state import State
from fedmed.memory import give_back_large_blocks
from fedmed.training.network import WEIGHT_DECAY, ImageSite, norm_names
from fedmed.training.network_trainer import NetworkTrainer, read_network, write_network
from fedmed.training.optimizer import Optimisation
from fedmed.training.tensors import Tensors
from fedmed.training.workers import Workers, result


class Beginning(NamedTuple):
    """What every training of networks of a run begins with."""

    folder: Path  # in which they are kept
    base: Path  # the network that all begin from
    start: Tensors  # the same
    plan: Plan
    together: Optimisation
    alone: Optimisation


def begin(settings: Settings, prepared: PreparedNetwork) -> Beginning:
    """Write the network down that all begin from, and settle how they train."""
    give_back_large_blocks()
    folder = prepared.state.networks()
    base = folder / "start.safetensors"
    start = start_of(prepared.backbone)
    write_network(base, start)
    together, alone = optimisations(settings, prepared, prepared.recipe, weight_decay=WEIGHT_DECAY)
    plan = Plan.of(settings, prepared.sites, simulated=prepared.audit["simulated"])
    return Beginning(folder, base, start, plan, together, alone)


def federations(
    settings: Settings, prepared: PreparedNetwork, formats: Sequence[str]
) -> dict[str, tuple[Path, State]]:
    """Train the federated network once in each format, and nothing that it is held against.

    Returns, by format, the network's file and the federation; the networks are those of a whole
    run of the same settings, bit by bit.

    Raises:
        UserError: training diverged, a process died, or the algorithm averages nothing.
    """
    folder, base, start, plan, optimisation, _ = begin(settings, prepared)
    chains = {format: chain_of(format, settings) for format in formats}
    epochs = dict.fromkeys(chains.values(), settings.rounds * settings.local_epochs)
    cores = torch.get_num_threads()
    with Workers(workers(settings, prepared), lambda said: progress(said)) as pool:
        trainers = {
            chain: NetworkTrainer(pool, folder, chain, prepared.regime, base) for chain in epochs
        }
        progress = Progress(remaining(trainers, prepared, epochs), epochs)
        try:
            ended = {
                format: federation(
                    settings, prepared, plan, trainers[chain], start, optimisation, format
                )
                for format, chain in chains.items()
            }
        finally:
            torch.set_num_threads(cores)
    return {
        format: (round_file(folder, state.round, chains[format]), state)
        for format, state in ended.items()
    }


def centrally(settings: Settings, prepared: PreparedNetwork) -> Path:
    """Train the central network and no other; returns its file, as a whole run has it, bit by bit.

    Raises:
        UserError: training diverged, or a process died.
    """
    folder, base, _, _, optimisation, _ = begin(settings, prepared)
    regime = replace(prepared.regime, total_epochs=settings.epochs)
    epochs = {"central": settings.epochs}
    with Workers(1, lambda said: progress(said)) as pool:
        trainer = NetworkTrainer(pool, folder, "central", regime, base)
        progress = Progress(remaining({"central": trainer}, prepared, epochs), epochs)
        in_rounds(trainer, prepared.everything, base, settings, optimisation)()
    return trainer.kept(prepared.everything.name, settings.epochs)


def in_rounds(
    trainer: NetworkTrainer,
    site: ImageSite,
    base: Path,
    settings: Settings,
    optimisation: Optimisation,
) -> Callable[[], None]:
    """Return what trains one network in rounds, from what is kept of it or from `base`."""

    def run() -> None:
        epochs = trainer.regime.total_epochs
        while (done := trainer.epochs_done(site.name)) < epochs:
            stop = min(done + settings.local_epochs, epochs)
            start = trainer.kept(site.name, done) if done else base
            job = trainer.submit(site, start, range(done, stop), optimisation, seed=settings.seed)
            assert job is not None, "it is not done yet"
            result(job)
            trainer.drop_but_latest(site.name)

    return run


def workers(settings: Settings, prepared: PreparedNetwork) -> int:
    """Return how many processes train: those asked for, or one a core, for as many as can be busy.

    A process takes about a gigabyte.
    """
    return settings.workers or min(torch.get_num_threads(), 2 * len(prepared.hospitals) + 1)


def remaining(
    trainers: Mapping[str, NetworkTrainer], prepared: PreparedNetwork, epochs: Mapping[str, int]
) -> int:
    """How many images are still to be trained on, each counted once an epoch."""
    sites = [
        (chain, site)
        for chain in epochs
        for site in ([prepared.everything] if chain == "central" else prepared.hospitals)
    ]
    return sum(
        len(site.labels) * (epochs[chain] - trainers[chain].epochs_done(site.name))
        for chain, site in sites
    )


def round_file(folder: Path, number: int, chain: str = "federated") -> Path:
    """Where the federated network after a round lies while the run goes on."""
    return folder / f"{chain}.round-{number}.safetensors"


def chain_of(format: str, settings: Settings) -> str:
    """What the federation in a format is called."""
    return "federated" if format == settings.format else f"federated_in_{format.upper()}"


def federation(
    settings: Settings,
    prepared: PreparedNetwork,
    plan: Plan,
    trainer: NetworkTrainer,
    start: Tensors,
    optimisation: Optimisation,
    format: str,
) -> State:
    """Train it from what is kept of it, or from `start`; a file is kept of every round.

    The calling thread keeps to one core from then on.
    """
    # One thread, so that sums do not depend on how many cores there are.
    torch.set_num_threads(1)
    averaged = settings.batch_norm == "average"
    travels = {name: t for name, t in start.items() if averaged or name not in norm_names()}
    sites = [
        replace(site, labels=1 - site.labels) if plan.flips_labels_of(site.name) else site
        for site in prepared.hospitals
    ]
    keep = prepared.state.keeper(format)

    def on_round(now: State) -> None:
        network = start | now.model
        if settings.batch_norm == "local":
            network |= _mean_norms(trainer, prepared.hospitals)
        write_network(round_file(trainer.folder, now.round, trainer.chain), network)
        keep(now)
        for site in prepared.hospitals:
            trainer.drop_but_latest(site.name)

    return federate(
        sites,
        algorithm=cast(Algorithm, Forgetful(plan.algorithm)),
        model=travels,
        rounds=settings.rounds,
        local_epochs=settings.local_epochs,
        optimisation=optimisation,
        channel=plan.channel(format, networks=True),
        trainer=trainer,
        attendance=plan.attendance,
        seed=settings.seed,
        state=prepared.state.federation(format),
        on_round=on_round,
        every_round=False,
    )


def _mean_norms(trainer: NetworkTrainer, sites: Sequence[ImageSite]) -> Tensors:
    """The weighted mean of what hospitals keep of normalisation, for a patient of none of them."""
    kept = [(len(site.labels), trainer.latest(site.name)) for site in sites]
    total = sum(count for count, path in kept if path)
    mean: Tensors = {}
    for count, path in kept:
        network = read_network(path) if path else {}
        for name in norm_names() & set(network):
            part = network[name] * (count / total)
            mean[name] = mean[name] + part if name in mean else part
    return mean

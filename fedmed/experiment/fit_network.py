"""The second step of a run that trains networks: centrally, federated, at each hospital alone.

All three go on at the same time, a process for each core. Each training is cut in rounds of as many
epochs, AdamW starting afresh in each, so that a federation of one hospital is central training; and
what was trained is kept after each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch

from fedmed.experiment.network_federation import (
    begin,
    chain_of,
    federation,
    in_rounds,
    remaining,
    round_file,
    workers,
)
from fedmed.experiment.plan import Plan
from fedmed.experiment.prepare_network import PreparedNetwork
from fedmed.experiment.progress import Memory, Progress
from fedmed.experiment.settings import Settings
from fedmed.experiment.timing import Stopwatch
from fedmed.federated.ledger import Ledger
from fedmed.federated.state import State
from fedmed.federated.transforms import FORMATS
from fedmed.training.network import ImageSite
from fedmed.training.network_trainer import NetworkTrainer, Said
from fedmed.training.workers import Workers

CHAINS = 16  # trainings that wait for a process at a time, beside the federation


@dataclass(frozen=True)
class FittedNetworks:
    """Every network of a run, in files until it is saved, and what the federation sent."""

    central: Path
    alone: Sequence[Path]  # each hospital's, trained as long without the others
    own: Sequence[Path]  # each hospital's, after its training in the last round
    rounds: Sequence[Path]  # the federated network after each round
    federation: State
    others: Mapping[str, tuple[Path, Ledger]]  # by format: its federated network, what was sent
    plan: Plan
    workers: int
    peak_memory_gib: float

    @property
    def federated(self) -> Path:
        """The federated network."""
        return self.rounds[-1]

    def shipped(self) -> dict[str, Path]:
        """Return the networks of a snapshot, by model; a hospital's is the one it has alone."""
        hospitals = {f"hospital_{k}": path for k, path in enumerate(self.alone, start=1)}
        return {"central": self.central, "federated": self.federated, **hospitals}


def fit_network(settings: Settings, prepared: PreparedNetwork, watch: Stopwatch) -> FittedNetworks:
    """Train all networks, side by side.

    Raises:
        UserError: training diverged, a process died, or the algorithm averages nothing.
    """
    folder, base, start, plan, optimisation, of_its_own = begin(settings, prepared)
    epochs = {"central": settings.epochs}
    epochs["federated"] = epochs["alone"] = settings.rounds * settings.local_epochs
    count = workers(settings, prepared)

    memory = Memory()

    def told(said: Said) -> None:
        memory(said)
        progress(said)

    others = [format for format in FORMATS if settings.study and format != settings.format]
    epochs |= {chain_of(format, settings): epochs["federated"] for format in others}

    with Workers(count, told) as pool:
        trainers = {
            chain: NetworkTrainer(
                pool, folder, chain, replace(prepared.regime, total_epochs=epochs[chain]), base
            )
            for chain in epochs
        }
        progress = Progress(remaining(trainers, prepared, epochs), epochs)

        def together(format: str) -> State:
            trainer = trainers[chain_of(format, settings)]
            return federation(settings, prepared, plan, trainer, start, optimisation, format)

        jobs: list[Callable[[], object]] = [
            lambda: together(settings.format),
            # One after the other, for each takes memory.
            lambda: [together(format).ledger for format in others],
            *(
                in_rounds(trainers[chain], site, base, settings, how)
                for chain, site, how in (
                    ("central", prepared.everything, optimisation),
                    *(("alone", site, of_its_own) for site in prepared.hospitals),
                )
            ),
        ]
        federated, ledgers, *_ = _side_by_side(jobs, pool)
    watch.lap("training")

    ended = cast(State, federated)

    def files(chain: str, sites: Sequence[ImageSite]) -> list[Path]:
        found = [trainers[chain].latest(site.name) for site in sites]
        return [path for path in found if path]  # a hospital may never have taken part

    return FittedNetworks(
        central=files("central", [prepared.everything])[0],
        alone=files("alone", prepared.hospitals),
        own=files("federated", prepared.hospitals),
        rounds=[round_file(folder, number) for number in range(1, ended.round + 1)],
        federation=ended,
        others={
            format: (round_file(folder, ended.round, chain_of(format, settings)), ledger)
            for format, ledger in zip(others, cast(list[Ledger], ledgers), strict=True)
        },
        plan=plan,
        workers=count,
        peak_memory_gib=memory.gib(),
    )


def _side_by_side(jobs: Sequence[Callable[[], object]], pool: Workers) -> list[object]:
    """Run all, each in a thread that waits for the processes; the first that fails ends all."""
    cores = torch.get_num_threads()
    threads = ThreadPoolExecutor(1 + CHAINS)
    futures = [threads.submit(job) for job in jobs]
    try:
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        for future in futures:
            if future in done:
                future.result()
        return [future.result() for future in futures]
    finally:
        pool.stop()
        threads.shutdown(cancel_futures=True)
        torch.set_num_threads(cores)  # a thread's setting is what threads after it begin with

"""Hospitals that train whole networks, one after the other or side by side, kept as they go.

What each has trained is a file as soon as it is done, and is not trained again by a run that goes
on. The files are named by the hospital and the epoch it has come to.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import save
from torch import Tensor

from fedmed.errors import UserError
from fedmed.files import read_tensors, write_atomically
from fedmed.training.gradient import Gradient
from fedmed.training.local_training import Site
from fedmed.training.network import ImageSite, Regime, state_names, train_network
from fedmed.training.optimizer import Optimisation
from fedmed.training.tensors import Tensors, digest
from fedmed.training.workers import Here, Peak, Tell, Workers, peak_of_a_worker, result

SAYS_EVERY = 5.0  # seconds between two words of a hospital


class Said(NamedTuple):
    """What a hospital says of its training."""

    chain: str  # what is trained: central, federated, alone
    site: str
    epoch: int  # from 1
    images: int  # done since it last said anything
    seconds: float
    done: bool  # with all epochs of this job
    process: int
    peak: Peak  # of its process's memory


@dataclass(frozen=True)
class Job:
    """A hospital's epochs of one round."""

    chain: str
    site: ImageSite
    place: int
    start: Path  # a network, or what of it travels
    rest: Path  # where the tensors are that `start` lacks
    to: Path
    epochs: range
    optimisation: Optimisation
    regime: Regime
    seed: int
    gradient: Gradient | None


@dataclass(frozen=True)
class NetworkTrainer:
    """A `federated.algorithm.Trainer` of whole networks, on `ImageSite`s.

    `base` is a network that has what the given starts lack: with `regime.batch_norm` local (Li,
    Jiang, Zhang, Kamp, Dou: FedBN, ICLR 2021, arXiv:2102.07623) or frozen, normalisation stays at
    the hospital and is no part of them.
    """

    workers: Workers | Here
    folder: Path
    chain: str
    regime: Regime
    base: Path

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
        """Train network h on site h: [H, ...] -> [H, ...] each, of the names in `start`.

        Raises:
            UserError: a site holds no X-rays, a process died, or a file cannot be read.
        """
        starts = self._starts(start, sites)
        order = sorted(range(len(sites)), key=lambda h: -len(sites[h].labels))  # the longest first
        futures: dict[int, Future[None]] = {}
        for h in order:
            site = sites[h]
            if not isinstance(site, ImageSite):
                raise UserError(f"{site.name} holds no X-rays to train a network on")
            future = self.submit(
                site, starts[h], epochs, optimisation, seed=seed, gradient=gradient, place=h
            )
            if future is not None:
                futures[h] = future
        for future in futures.values():
            result(future)
        trained = {
            name: torch.empty((len(sites), *tensor.shape[1:])) for name, tensor in start.items()
        }
        for h, site in enumerate(sites):
            network = read_network(self.kept(site.name, epochs.stop))
            for name, tensor in trained.items():
                tensor[h] = network[name]
        for path in set(starts):
            path.unlink(missing_ok=True)
        return trained

    def submit(
        self,
        site: ImageSite,
        start: Path,
        epochs: range,
        optimisation: Optimisation,
        *,
        seed: int,
        gradient: Gradient | None = None,
        place: int = 0,
    ) -> Future[None] | None:
        """Have a site trained from the network in `start`, as soon as a process is free.

        None where it is done already: `kept` has it, as it will once the future is over.
        """
        to = self.kept(site.name, epochs.stop)
        if to.exists():
            return None
        own = self.latest(site.name, epochs.start) if self.regime.batch_norm == "local" else None
        job = Job(
            chain=self.chain,
            site=site,
            place=place,
            start=start,
            rest=own or self.base,
            to=to,
            epochs=epochs,
            optimisation=optimisation,
            regime=self.regime,
            seed=seed,
            gradient=gradient,
        )
        return self.workers.submit(run_job, job)

    def kept(self, site: str, epoch: int) -> Path:
        """Return the file of a site's whole network after so many epochs."""
        return self.folder / f"{self.chain}-{site}-{epoch}.safetensors"

    def epochs_done(self, site: str, until: int = sys.maxsize) -> int:
        """Return how many epochs of a site, `until` at most, are done and kept; 0 if none are."""
        done = [epochs for epochs in self._kept(site) if epochs <= until]
        return max(done, default=0)

    def latest(self, site: str, until: int = sys.maxsize) -> Path | None:
        """Return what a site has kept last, after `until` epochs at most."""
        done = self.epochs_done(site, until)
        return self.kept(site, done) if done else None

    def drop_but_latest(self, site: str) -> None:
        """Delete what a site kept before its latest."""
        kept = self._kept(site)
        for epochs in kept:
            if epochs < max(kept):
                self.kept(site, epochs).unlink(missing_ok=True)

    def _kept(self, site: str) -> list[int]:
        found = self.folder.glob(f"{self.chain}-{site}-*.safetensors")
        return [int(path.stem.rsplit("-", 1)[1]) for path in found]

    def _starts(self, start: Tensors, sites: Sequence[Site]) -> list[Path]:
        """Write what hospitals start from, once where all of these start from the same.

        Others may be training meanwhile, so that a file is named by its hospital.
        """
        same = all(tensor.stride(0) == 0 for tensor in start.values()) or len(sites) == 1
        paths = []
        for h, site in enumerate(sites[:1] if same else sites):
            path = self.folder / f"{self.chain}.start-{site.name}.safetensors"
            write_network(path, {name: tensor[h] for name, tensor in start.items()})
            paths.append(path)
        return paths * len(sites) if same else paths


def run_job(job: Job, tell: Tell) -> None:
    """In a worker process: train, and keep what was trained."""
    given = read_network(job.start)
    whole = given if set(given) == state_names() else read_network(job.rest) | given
    said, last_images, last_epoch = time.monotonic(), 0, job.epochs.start
    waiting = 0

    def told(epoch: int, images: int) -> None:
        nonlocal said, last_images, last_epoch, waiting
        waiting += images - (last_images if epoch == last_epoch else 0)
        last_images, last_epoch = images, epoch
        now = time.monotonic()
        over = epoch == job.epochs.stop - 1 and images == len(job.site.labels)
        if not over and now - said < SAYS_EVERY:
            tell(None)
            return
        tell(
            Said(
                chain=job.chain,
                site=job.site.name,
                epoch=epoch + 1,
                images=waiting,
                seconds=now - said,
                done=over,
                process=os.getpid(),
                peak=peak_of_a_worker(),
            )
        )
        said, waiting = now, 0

    trained = train_network(
        whole,
        job.site,
        job.epochs,
        job.optimisation,
        job.regime,
        seed=job.seed,
        gradient=job.gradient,
        travels=frozenset(given),
        place=job.place,
        told=told,
    )
    write_network(job.to, trained)


def write_network(path: Path, network: Mapping[str, Tensor]) -> None:
    """Write a network's tensors, whole or not at all, with their digest."""
    tensors = {name: tensor.contiguous() for name, tensor in network.items()}
    write_atomically(path, save(tensors, {"sha256": digest(tensors)}))


def read_network(path: Path) -> Tensors:
    """Read what `write_network` wrote, bit by bit.

    Raises:
        UserError: the file is anything else.
    """
    tensors, metadata = read_tensors(path)
    if metadata.get("sha256") != digest(tensors):
        raise UserError(
            f"{path}: not what was written there (its sha256 differs): start again without --resume"
        )
    return tensors

"""The same federation in one process, from the record of one between machines: to the same bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from fedmed.backbones.backbone import Backbone
from fedmed.experiment.protection import Protection
from fedmed.federated.algorithm import Algorithm, Round, Trainer
from fedmed.federated.attendance import Attendance
from fedmed.federated.channel import Channel
from fedmed.federated.rounds import federate
from fedmed.federated.state import State
from fedmed.flower import networks
from fedmed.flower.hospital import algorithm_of
from fedmed.flower.protected import Public, protection
from fedmed.flower.record import Record
from fedmed.flower.terms import Terms
from fedmed.privacy.masks import Keys
from fedmed.privacy.rows import Space
from fedmed.training.heads import new_heads
from fedmed.training.local_training import Site
from fedmed.training.network import ImageSite
from fedmed.training.network_trainer import NetworkTrainer, write_network
from fedmed.training.tensors import Tensors, join, pick, take
from fedmed.training.workers import Here


def replay(
    record: Record,
    sites: Sequence[Site],
    *,
    width: int,
    simulated: bool,
    space: Space | None = None,
) -> State:
    """Federate heads at `sites`, which are all hospitals of the record in its order, as it says.

    In every round those take part who took part then. Other masks add up to the same sum; of a
    private run, whose sites have one row a patient in `space`, noise is drawn anew, so that it ends
    elsewhere.
    """
    terms = Terms.read(record.terms)
    names = [site.name for site in sites]
    protected = protection(
        terms,
        sites,
        Public(*record.public) if record.public else None,
        space,
        Keys.draw(names) if terms.secure_aggregation else None,
    )
    algorithm = OneByOne(protected.fit(algorithm_of(terms, simulated=simulated)))
    model = pick(new_heads(1, width).tensors(), 0)
    return _federate(
        record, terms, sites, protected, cast(Algorithm, algorithm), model, protected.trainer
    )


def replay_networks(
    record: Record, sites: Sequence[ImageSite], backbone: Backbone, folder: Path
) -> State:
    """Federate networks as `replay` does heads; `folder` is for what is trained on the way."""
    terms = Terms.read(record.terms)
    base = folder / "start.safetensors"
    write_network(base, networks.whole(backbone, {}, {}))
    trainer = NetworkTrainer(Here(), folder, "federated", networks.regime(terms), base)
    algorithm, model = algorithm_of(terms, simulated=False), networks.start(terms, backbone)
    return _federate(record, terms, sites, protection(terms, sites), algorithm, model, trainer)


def _federate(
    record: Record,
    terms: Terms,
    sites: Sequence[Site],
    protected: Protection,
    algorithm: Algorithm,
    model: Tensors,
    trainer: Trainer,
) -> State:
    names = [site.name for site in sites]
    present = tuple(
        tuple(names.index(name) for name in entry["hospitals"]) for entry in record.rounds
    )
    normal, pneumonia = record.class_weights
    return federate(
        sites,
        algorithm=algorithm,
        model=model,
        rounds=len(present),
        local_epochs=terms.local_epochs,
        optimisation=protected.optimisation(terms.optimisation((normal, pneumonia))),
        channel=protected.wrap(Channel.of(terms.format, networks=terms.of_networks)),
        trainer=trainer,
        attendance=Recorded(rounds=present),
        seed=terms.seed,
        every_round=not terms.of_networks,
    )


class OneByOne:
    """An algorithm whose hospitals are each computed by a call of their own, as on machines of
    their own: a product of several hospitals' matrices at once rounds otherwise than several."""

    def __init__(self, algorithm: Algorithm) -> None:
        self._algorithm = algorithm

    def __getattr__(self, name: str) -> Any:
        return getattr(self._algorithm, name)

    def local(
        self, received: Tensors, own: Tensors, sites: Sequence[Site], now: Round
    ) -> tuple[Tensors, Tensors]:
        done = [
            self._algorithm.local(received, take(own, torch.tensor([h])), [site], now)
            for h, site in enumerate(sites)
        ]
        return join([sent for sent, _ in done]), join([kept for _, kept in done])


@dataclass(frozen=True)
class Recorded(Attendance):
    """Who took part, by places. Whoever comes back is told what it missed, so that a round sends
    differences as if everybody had been there all the time."""

    rounds: tuple[tuple[int, ...], ...] = ()

    @property
    def is_everyone(self) -> bool:
        return True

    def draw(self, count: int, number: int, seed: int) -> tuple[Tensor, Tensor]:
        places = torch.tensor(self.rounds[number - 1])
        return places, places

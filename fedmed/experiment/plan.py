"""How a run federates: its algorithm, who takes part, who is poisoned; and the report's words."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from fedmed.experiment.settings import Settings
from fedmed.federated.algorithm import Algorithm
from fedmed.federated.algorithms import make_algorithm
from fedmed.federated.algorithms.moments import Moments
from fedmed.federated.attendance import Attendance
from fedmed.federated.channel import Channel
from fedmed.federated.ledger import titles
from fedmed.federated.poison import Poison
from fedmed.federated.state import State
from fedmed.training.local_training import Site


@dataclass(frozen=True)
class Plan:
    """A run's federation, as its options say."""

    algorithm: Algorithm
    attendance: Attendance
    poison: Poison | None
    poisoned: str | None  # the hospital, drawn by the run's seed

    @classmethod
    def of(cls, settings: Settings, hospitals: Sequence[str], *, simulated: bool) -> Plan:
        """Read the options. Of simulated patients, who are nobody, any sums may be sent."""
        algorithm = make_algorithm(settings.algorithm, networks=settings.train == "network")
        if simulated and isinstance(algorithm, Moments):
            algorithm = replace(algorithm, fewest=0)
        poison = Poison.parse(settings.poison) if settings.poison else None
        drawn = random.Random(f"{settings.seed} poison").choice(hospitals)
        return cls(
            algorithm,
            Attendance(settings.participation, settings.drop_out),
            poison,
            drawn if poison else None,
        )

    def sites(self, sites: Sequence[Site]) -> list[Site]:
        """Return the hospitals as they train in the federation."""
        return [
            self.poison.site(site) if self.poison and site.name == self.poisoned else site
            for site in sites
        ]

    def flips_labels_of(self, hospital: str) -> bool:
        """Tell whether a hospital takes each class for the other."""
        return bool(self.poison and self.poison.flips_labels and hospital == self.poisoned)

    def channel(self, format: str, *, networks: bool = False) -> Channel:
        """Return the channel of an update format, spoiled where a hospital is poisoned."""
        channel = Channel.of(format, networks=networks)
        if not (self.poison and self.poisoned):
            return channel
        return replace(channel, up=(*self.poison.transforms(self.poisoned), *channel.up))

    def formats_differ(self, state: State) -> bool:
        """Tell whether a format rounds anything of what this algorithm sends."""
        return formats_differ(self.algorithm, state)

    def report(self, state: State) -> dict[str, Any]:
        """Return the report's `algorithm` and `federation`."""
        return {
            "algorithm": federated_by(self.algorithm, state.round),
            "federation": {
                "participation": self.attendance.participation,
                "drop_out": self.attendance.drop_out,
                "poison": {"kind": self.poison.words, "hospital": self.poisoned}
                if self.poison
                else None,
            },
        }

    def titles(self, state: State) -> dict[str, str]:
        """Return what each format's messages are called."""
        return titles(self.algorithm.sends, rounded=self.formats_differ(state))


def federated_by(algorithm: Algorithm, rounds: int) -> dict[str, Any]:
    """Return the report's `algorithm`, of a federation that ended after so many rounds."""
    return {
        "name": algorithm.name,
        "words": algorithm.words,
        "settings": asdict(algorithm),  # type: ignore[call-overload]
        "rounds": rounds,
        "one_round": algorithm.most_rounds == 1,
    }


def formats_differ(algorithm: Algorithm, state: State) -> bool:
    """Tell whether a format rounds anything of what an algorithm sends."""
    return any(word == "F32" for word, _ in algorithm.expected(state.server).values())

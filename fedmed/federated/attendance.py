"""Who takes part in a round: some are asked, and some of those do not answer."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from fedmed.errors import UserError
from fedmed.federated.algorithm import Algorithm


@dataclass(frozen=True)
class Attendance:
    """A share of the hospitals is asked in each round, and each of those drops out by chance.

    Both are drawn of nothing but the seed and the round. One hospital at least always answers.
    """

    participation: float = 1.0  # the share that is asked, above 0
    drop_out: float = 0.0  # how likely one that is asked does not answer, below 1

    @property
    def is_everyone(self) -> bool:
        """Whether all hospitals take part in all rounds."""
        return self.participation == 1 and self.drop_out == 0

    def check(self, algorithm: Algorithm) -> None:
        """Refuse an algorithm that cannot be without some hospitals.

        Raises:
            UserError: naming it.
        """
        if algorithm.needs_everyone and not self.is_everyone:
            raise UserError(
                f"{algorithm.name} needs every hospital in every round: leave out --participation "
                "and --drop-out, or choose an algorithm that averages, as fedavg"
            )

    def draw(self, count: int, number: int, seed: int) -> tuple[Tensor, Tensor]:
        """Return who of `count` hospitals is asked in round `number`, and who answers: places."""
        if self.is_everyone:
            return torch.arange(count), torch.arange(count)
        digest = hashlib.blake2b(f"{seed} {number} attendance".encode(), digest_size=8).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)
        # 0.14 of 50 are 7, though the product of the floats lies above.
        asked = max(1, math.ceil(self.participation * count - 1e-9))
        invited = torch.randperm(count, generator=generator)[:asked]
        answers = torch.rand(asked, generator=generator) >= self.drop_out
        if not answers.any():
            answers[0] = True
        return invited.sort().values, invited[answers].sort().values


EVERYONE = Attendance()

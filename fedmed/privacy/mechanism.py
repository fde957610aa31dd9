"""The mechanism of a private run: how much noise, on what, how often, for which promise."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fedmed.errors import UserError
from fedmed.privacy.accountant import mu_of

# What validation prefers on real X-rays (`python -m benchmarks.privacy`): how far all steps of a
# run lead together, in units of the rows' space, up to each epsilon. Noise grows with it as signal
# does,
# until the loss is near its minimum: less of it where noise is dear.
TRAVEL = {1.0: 300.0, math.inf: 600.0}
CLIP = 0.5  # of a row's gradient, which is no longer than sqrt 2 without


@dataclass(frozen=True)
class Mechanism:
    """Full-batch gradient descent on clipped gradients, with Gaussian noise on every sum.

    M. Abadi, A. Chu, I. Goodfellow, H. B. McMahan, I. Mironov, K. Talwar, L. Zhang: Deep Learning
    with Differential Privacy, CCS 2016, arXiv:1607.00133, Algorithm 1 with every patient in every
    batch: nothing is sampled, so the accounting is exact.
    """

    epsilon: float
    delta: float
    steps: int  # that a hospital takes in all
    clip: float
    step: float  # times the mean gradient

    @classmethod
    def of(cls, epsilon: float, delta: float, steps: int) -> Mechanism:
        """Return the mechanism that spends (epsilon, delta) in so many steps."""
        travel = next(far for most, far in TRAVEL.items() if epsilon <= most)
        return cls(epsilon, delta, steps, CLIP, travel / steps)

    @property
    def mu(self) -> float:
        """The privacy of the whole run, as Gaussian differential privacy counts it."""
        return mu_of(self.epsilon, self.delta)

    @property
    def noise_multiplier(self) -> float:
        """The noise on each number of a sum of gradients, over what one patient can change."""
        return math.sqrt(self.steps) / self.mu

    @property
    def noise(self) -> float:
        """The noise's standard deviation on each number of a sum of gradients."""
        return self.clip * self.noise_multiplier

    def allow(self, done: int) -> None:
        """Refuse steps beyond those that the noise was measured out for.

        Raises:
            UserError: naming how many are allowed.
        """
        if done > self.steps:
            raise UserError(
                f"the privacy budget is spent: its noise is for {self.steps} steps and this would "
                f"be step {done}; start a run of its own, which spends an epsilon of its own"
            )

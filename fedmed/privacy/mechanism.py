"""The mechanism of a private run: how much noise, on what, how often, for which promise."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fedmed.errors import UserError
from fedmed.privacy.accountant import mu_of

# Chosen on validation patients of real X-rays, with 2,015 and 406 patients in five hospitals, clean
# views, 60 steps, epsilon 1, 3 and 8: noise grows with how far all steps of a run lead together,
# and so does signal until the loss is near its minimum.
CLIP = 0.5  # of a row's gradient, which is no longer than sqrt 2 without
TRAVEL = 0.4  # times epsilon and patients, over the root of the hospitals, who each add noise
MOST_TRAVEL = 2400.0
MOST_STEP = 40.0  # longer ones swing


@dataclass(frozen=True)
class Mechanism:
    """Gaussian noise on sums: of gradients, at every step of a run, or of rows by class, once.

    Of gradients it is full-batch descent on clipped ones: M. Abadi, A. Chu, I. Goodfellow, H. B.
    McMahan, I. Mironov, K. Talwar, L. Zhang: Deep Learning with Differential Privacy, CCS 2016,
    arXiv:1607.00133, Algorithm 1 with every patient in every batch: nothing is sampled, so the
    accounting is exact.
    """

    epsilon: float
    delta: float
    steps: int  # that a hospital takes in all
    step: float  # times the mean gradient
    clip: float = CLIP
    means: bool = False  # sums of rows, which need no clip: none is longer than 1

    @classmethod
    def of_means(cls, epsilon: float, delta: float) -> Mechanism:
        """Return the mechanism that spends (epsilon, delta) in one release of sums by class."""
        return cls(epsilon, delta, steps=1, step=0.0, clip=1.0, means=True)

    @classmethod
    def of(
        cls, epsilon: float, delta: float, steps: int, *, patients: int, hospitals: int
    ) -> Mechanism:
        """Return the mechanism that spends (epsilon, delta) in so many steps.

        How long a step is follows from the number of all `patients`, which is public.
        """
        travel = min(MOST_TRAVEL, TRAVEL * epsilon * patients / math.sqrt(hospitals))
        return cls(epsilon, delta, steps, min(travel / steps, MOST_STEP))

    @property
    def mu(self) -> float:
        """The privacy of the whole run, as Gaussian differential privacy counts it."""
        return mu_of(self.epsilon, self.delta)

    @property
    def noise_multiplier(self) -> float:
        """The noise on each number of a sum, over what one patient can change."""
        return math.sqrt(self.steps) / self.mu

    @property
    def noise(self) -> float:
        """The noise's standard deviation on each number of a sum."""
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

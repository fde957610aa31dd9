"""Counts of patients, private towards everyone: a histogram, with noise at each hospital."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fedmed.privacy.accountant import mu_of
from fedmed.privacy.noise import add_noise


def deviation(epsilon: float, delta: float) -> float:
    """Return the standard deviation of the noise on each count, before it is rounded."""
    return 1 / mu_of(epsilon, delta)


def release(exact: Sequence[int], epsilon: float, delta: float) -> list[int]:
    """Return counts of patients with Gaussian noise, as whole numbers that may be below nought.

    Every patient is in one of the counts, and so moves them by 1 in all: one release of them is
    (epsilon, delta)-differentially private (C. Dwork, F. McSherry, K. Nissim, A. Smith: Calibrating
    Noise to Sensitivity in Private Data Analysis, TCC 2006, with Gaussian noise). Rounding what is
    private already costs nothing. Each call draws noise, and spends, anew.
    """
    noisy = add_noise(np.asarray(exact, np.float64), deviation(epsilon, delta))
    return [int(count) for count in np.rint(noisy)]

"""What Gaussian noise is worth: the exact privacy of one release, and of many.

J. Dong, A. Roth, W. J. Su: Gaussian Differential Privacy, J. R. Statist. Soc. B 84, 2022,
arXiv:1905.02383. A release that one patient moves by at most D, with noise of standard deviation s
on each number, is D/s-GDP; releases compose as the root of the sum of squares, and so exactly that
nothing is lost but for rounding. mu-GDP is (epsilon, delta)-differential privacy for every epsilon
at once, with the delta of B. Balle, Y.-X. Wang: Improving the Gaussian Mechanism for Differential
Privacy, ICML 2018, arXiv:1805.06530, Theorem 8.
"""

from __future__ import annotations

import math

LARGEST_MU = 1e6  # as good as no privacy at all


def delta_of(mu: float, epsilon: float) -> float:
    """Return the delta of a mu-GDP mechanism at `epsilon`, both at least 0."""
    from scipy.stats import norm

    if mu <= 0:
        return 0.0
    lost = math.exp(epsilon + norm.logcdf(-epsilon / mu - mu / 2))
    return float(norm.cdf(-epsilon / mu + mu / 2) - lost)


def epsilon_of(mu: float, delta: float) -> float:
    """Return the smallest epsilon at which a mu-GDP mechanism keeps `delta`, 0 < delta < 1."""
    from scipy.optimize import brentq

    if delta_of(mu, 0.0) <= delta:
        return 0.0
    # At this epsilon the first term alone is below delta: P[Z > epsilon/mu - mu/2].
    high = mu**2 / 2 + mu * math.sqrt(2 * math.log(1 / delta)) + 1
    return float(brentq(lambda epsilon: delta_of(mu, epsilon) - delta, 0.0, high, xtol=1e-12))


def mu_of(epsilon: float, delta: float) -> float:
    """Return the largest mu whose mechanisms are (epsilon, delta)-differentially private.

    `epsilon` is at least 0 and 0 < delta < 1.
    """
    from scipy.optimize import brentq

    return float(brentq(lambda mu: delta_of(mu, epsilon) - delta, 1e-9, LARGEST_MU, xtol=1e-13))


def noise_multiplier(epsilon: float, delta: float, releases: int) -> float:
    """Return the noise, over the sensitivity, of each of so many equal releases."""
    return math.sqrt(releases) / mu_of(epsilon, delta)


def composed(mu: float, times: int) -> float:
    """Return the mu of so many mu-GDP releases about the same patient together."""
    return mu * math.sqrt(times)


def of_a_group(mu: float, patients: int) -> float:
    """Return the mu with which so many patients are protected together (their Theorem 2.7)."""
    return mu * patients

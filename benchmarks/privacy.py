"""Is the privacy accounting right? `python -m benchmarks.privacy`

The package takes its numbers from formulas of Gaussian differential privacy. Here they are found
again without any of them: the loss of privacy of one release is put into small bins, convolved
with itself by FFT as often as there are releases (A. Koskela, J. Jälkö, A. Honkela: Computing Tight
Differential Privacy Guarantees Using FFT, AISTATS 2020, arXiv:1906.03049), and delta is read off.
Bins are rounded up and down, so that the true epsilon lies between two. And the noise that is added
is drawn and measured, and so is how far one patient moves a sum at most.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import measuring
from fedmed import cli
from fedmed.privacy.accountant import epsilon_of, noise_multiplier
from fedmed.privacy.noise import add_noise
from fedmed.privacy.rows import Space
from fedmed.training.gradient import HeadBatch

DELTA = 1e-5
EPSILONS = (0.5, 1.0, 3.0, 8.0)
RELEASES = (1, 60, 240)
BINS = 2**17


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.privacy", description=__doc__)
    parser.add_argument("--json", type=Path, default=measuring.RESULTS / "privacy.json")
    options = parser.parse_args()
    rows = [checked(epsilon, releases) for epsilon in EPSILONS for releases in RELEASES]
    print(measuring.table(rows))
    drawn, longest = noise_drawn(), longest_gradient()
    print(f"\nNoise asked for 1, drawn {drawn:.4f}; a patient's longest gradient {longest:.4f}")
    found = {"machine": measuring.machine(), "delta": DELTA, "accounting": rows,
             "noise": drawn, "longest_gradient": longest}  # fmt: skip
    options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def checked(epsilon: float, releases: int) -> dict[str, Any]:
    """Return the epsilon that so much noise gives, by the package, and between what it lies."""
    noise = noise_multiplier(epsilon, DELTA, releases)
    low, high = (by_convolution(noise, releases, DELTA, up=up) for up in (False, True))
    package = epsilon_of(math.sqrt(releases) / noise, DELTA)
    return {
        "asked": epsilon,
        "releases": releases,
        "noise": noise,
        "package": package,
        "at least": low,
        "at most": high,
        "agrees": low <= package + 1e-6 and package <= high + 1e-6,
    }


def by_convolution(noise: float, releases: int, delta: float, *, up: bool) -> float:
    """Return the epsilon of releases of sensitivity 1, with the loss in bins rounded up or down.

    Of Gaussian noise s the loss of one release, log p(x) / q(x), is normal with mean 1 / (2 s^2)
    and standard deviation 1 / s; its distribution is all that is taken from theory.
    """
    from scipy.stats import norm

    mean, spread = 1 / (2 * noise**2), 1 / noise
    reach = releases * mean + 12 * math.sqrt(releases) * spread
    width = 2 * reach / BINS
    grid = (np.arange(BINS) - BINS // 2) * width
    # What lies in (grid - width, grid] is put at its upper end, or at its lower one.
    edges = np.concatenate([[-np.inf], grid])
    mass = np.diff(norm.cdf(edges, mean, spread))
    if not up:
        mass = np.roll(mass, -1)
    spectrum = np.fft.rfft(np.fft.ifftshift(mass))
    total = np.clip(np.fft.fftshift(np.fft.irfft(spectrum**releases, BINS)), 0, None)
    low, high = 0.0, reach
    while high - low > 1e-9:
        middle = (low + high) / 2
        above = grid > middle
        lost = float((total[above] * -np.expm1(middle - grid[above])).sum())
        low, high = (middle, high) if lost > delta else (low, middle)
    return high


def noise_drawn(count: int = 400_000) -> float:
    """Return the standard deviation of noise that was asked to have 1."""
    return float(add_noise(np.zeros(count), 1.0).std())


def longest_gradient(trials: int = 200) -> float:
    """Return the length of the longest gradient of a patient, over rows far off and wild heads.

    It is no longer than sqrt 2 before it is cut, for no row is longer than 1.
    """
    generator = torch.Generator().manual_seed(0)
    space, longest = Space(torch.zeros(32, dtype=torch.float64), 1.0), 0.0
    for trial in range(trials):
        features = 10.0 ** (trial % 5) * torch.randn(64, 32, generator=generator)
        rows = space.rows(features)
        labels = torch.randint(2, (1, 64), generator=generator)
        head = 100 * torch.randn(1, 2, 33, generator=generator, dtype=torch.float64)
        weights = torch.ones(1, 64, dtype=torch.float64)
        batch = HeadBatch(torch.zeros(1, dtype=torch.int64), head, rows[None], labels, weights,
                          torch.ones(1, 64, dtype=torch.bool))  # fmt: skip
        longest = max(longest, float(batch.norms().max()))
    return longest


if __name__ == "__main__":
    raise SystemExit(cli.run(main))

"""Gaussian noise that nobody can draw again: from the operating system's generator, on a grid.

A seed would give the noise away, and with it the data. Floating-point noise has holes that tell
which number it was added to (I. Mironov: On Significance of the Least Significant Bits for
Differential Privacy, CCS 2012): so sums are made in float64 and rounded to a grid, coarse beside
those holes and fine beside the noise. Rounding what is private already costs no privacy.
"""

from __future__ import annotations

import os

import numpy as np

GRID = 2.0**-16  # of the noise's standard deviation


def gaussian(count: int) -> np.ndarray:
    """Draw float64 [count], standard normal, from the operating system's secure generator."""
    from scipy.special import ndtri

    drawn = np.frombuffer(os.urandom(8 * count), np.uint64)
    # 52 random bits, and half a step: 53 in all, so that neither 0 nor 1 comes out.
    return ndtri(((drawn >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52)


def add_noise(exact: np.ndarray, scale: float) -> np.ndarray:
    """Return float64 `exact` with noise of standard deviation `scale` on each number."""
    step = scale * GRID
    noisy = exact.astype(np.float64) + scale * gaussian(exact.size).reshape(exact.shape)
    return np.rint(noisy / step) * step

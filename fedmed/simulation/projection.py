"""X-rays through the thickness maps: Beer-Lambert, scatter, quantum noise, and the film's look."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from .canvas import Array

SOFT = 1.75  # attenuation per chest half-width of soft tissue
BONE = 8.5  # added by bone


@dataclass(frozen=True)
class Exposure:
    """How the picture was taken and developed; the same distribution for every patient."""

    scatter: float  # share of the primary beam that comes back as fog
    quanta: float  # detected per open-beam pixel of a 224-pixel picture
    black: float  # film value (optical depth) shown black, and shown white
    white: float
    detail: float  # how much of the local contrast is added again
    gamma: float
    blur: float  # of a 224-pixel picture's pixels
    ceiling: float  # brightest grey

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Exposure:
        return cls(
            scatter=rng.uniform(0.05, 0.16),
            quanta=float(np.exp(rng.uniform(np.log(7000), np.log(60000)))),
            black=rng.uniform(-0.2, 0.2),
            white=rng.uniform(2.4, 3.1),
            detail=rng.uniform(0.15, 0.6),
            gamma=rng.uniform(0.7, 1.1),
            blur=float(np.exp(rng.uniform(np.log(0.2), np.log(0.65)))),
            ceiling=rng.uniform(205, 250),
        )


def _smear(picture: Array, share: float) -> Array:
    """The picture blurred over a share of its width."""
    small = Image.fromarray(picture).resize((64, 64), Image.Resampling.BOX)
    smeared = gaussian_filter(np.asarray(small), 64 * share, mode="nearest")
    return np.asarray(
        Image.fromarray(smeared).resize(picture.shape[::-1], Image.Resampling.BICUBIC)
    )


def develop(depth: Array, exposure: Exposure, size: int, rng: np.random.Generator) -> Array:
    """Optical depth float32 [n, n] to the shown grey, float32 [n, n] in 0..255."""
    scale = depth.shape[0] / size
    beam = np.exp(-depth).astype(np.float32)
    beam = beam + exposure.scatter * _smear(beam, 0.11)
    beam = gaussian_filter(beam, exposure.blur * scale * (size / 224) ** 0.5)
    quanta = exposure.quanta / scale**2
    grain = rng.standard_normal(beam.shape, np.float32) * np.sqrt(beam / quanta)
    film = -np.log(np.maximum(beam + grain, 1e-3)).astype(np.float32)
    film = film + exposure.detail * (film - _smear(film, 0.03)) * np.clip(film, 0, 1)
    shown = np.clip((film - exposure.black) / (exposure.white - exposure.black), 0, 1.2)
    shown = shown**exposure.gamma
    shoulder = np.where(shown > 0.7, 0.7 + 0.3 * np.tanh((shown - 0.7) / 0.3), shown)
    return np.asarray(exposure.ceiling * shoulder, np.float32)

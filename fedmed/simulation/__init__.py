"""Simulated chest radiographs of children, with the truth about their opacities.

A phantom's thickness maps are projected as X-rays are. No real picture went into it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from .anatomy import Body, tissue
from .annotations import annotate, metal
from .canvas import MARGIN, Array, Canvas, Pose
from .disease import disease
from .projection import BONE, SOFT, Exposure, develop
from .skeleton import skeleton
from .vessels import trees

__all__ = ["VERSION", "Radiograph", "simulate"]

VERSION = 1  # bumped whenever the same arguments give other pixels

OVERSAMPLING = 1.15  # of small films; a large one has pixels to spare


@dataclass(frozen=True)
class Radiograph:
    """One simulated film and what is known about it."""

    pixels: np.ndarray  # uint8 [size, size]
    opacity: np.ndarray  # bool [size, size]: pneumonia; all False when NORMAL
    label: int  # 0 NORMAL, 1 PNEUMONIA
    patient: str
    kind: str  # "clear", "consolidation", "patchy" or "interstitial"


def shrink(picture: Array, size: int) -> Array:
    """Cut the margins off and resample [n, n] to [size, size]."""
    n = picture.shape[0]
    cut = n * MARGIN / (1 + 2 * MARGIN)
    image = Image.fromarray(picture.astype(np.float32))
    box = (cut, cut, n - cut, n - cut)
    return np.asarray(image.resize((size, size), Image.Resampling.LANCZOS, box=box))


def simulate(patient: int, label: int, *, seed: int = 0, size: int = 224) -> Radiograph:
    """The frontal radiograph of one simulated child.

    The same arguments give the same picture. Both labels of a (seed, patient) share anatomy,
    pose, exposure, noise and markers: only the disease differs.
    """
    if label not in (0, 1):
        raise ValueError(f"label must be 0 (NORMAL) or 1 (PNEUMONIA), not {label!r}")
    streams = np.random.SeedSequence([seed, patient]).spawn(7)
    shape, bones, lungs, shot, noise, film, ill = (np.random.default_rng(s) for s in streams)
    body = Body.sample(shape)
    finer = OVERSAMPLING if size < 512 else 1.0
    n = round(size * finer * (1 + 2 * MARGIN) / 4) * 4
    canvas = Canvas(Pose.sample(shape), n)
    parts = tissue(body, canvas, lungs)
    branches = 2.1 * canvas.tubes(trees(lungs)) * np.clip(parts.air / 0.4, 0, 1)
    air = parts.air - np.minimum(branches, 0.6 * parts.air)
    kind, opacity = "clear", np.zeros((size, size), bool)
    if label:
        found = disease(body, parts, canvas, ill)
        air = np.maximum(air - found.fluid - found.strands, 0.03 * parts.air)
        kind, opacity = found.kind, shrink(found.region, size) > 0.5
    soft = np.maximum(parts.body - air - np.minimum(parts.gas, 0.6 * parts.body), 0)
    depth = SOFT * soft + BONE * skeleton(body, canvas, bones) + metal(canvas, film)
    grey = develop(depth, Exposure.sample(shot), size, noise)
    pixels = np.clip(np.rint(shrink(annotate(grey, canvas, film), size)), 0, 255)
    return Radiograph(pixels.astype(np.uint8), opacity, label, f"sim-{patient:06d}", kind)

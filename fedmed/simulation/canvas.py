"""Where anatomy meets pixels: a patient's pose, the sampling grid, and tubes drawn on it.

Anatomy has its own plane: x = 0 at the spine, x = ±1 at the inner chest wall (patient's left is
+x, the image's right), y = 0 at the lung apices and about 1.6 at the domes of the diaphragm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image
from scipy.fft import irfft2, rfft2
from scipy.special import j1

Array = np.ndarray

MARGIN = 0.06  # of the picture on every side, cropped at the end: filters wrap round there


@dataclass(frozen=True)
class Pose:
    """How the child lies under the beam: centre [2] (anatomy), angle (radians), scales, shear."""

    centre: tuple[float, float]
    angle: float
    scale: tuple[float, float]
    shear: float

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Pose:
        scale = rng.normal(0.375, 0.022)
        aspect = np.exp(rng.normal(-0.04, 0.06))
        return cls(
            centre=(rng.normal(0, 0.09), rng.normal(0.88, 0.07)),
            angle=rng.normal(0, 0.035),
            scale=(float(np.clip(scale * aspect, 0.30, 0.43)), float(np.clip(scale, 0.31, 0.43))),
            shear=rng.normal(0, 0.02),
        )

    @property
    def matrix(self) -> Array:
        """[2, 2]: anatomy offsets to picture offsets (the picture is 1 wide and 1 high)."""
        c, s = np.cos(self.angle), np.sin(self.angle)
        turn = np.array([[c, -s], [s, c]]) @ np.array([[1.0, self.shear], [0.0, 1.0]])
        return np.diag(self.scale) @ turn


@dataclass(frozen=True)
class Tube:
    """A bent cylinder seen by the beam: points [n, 2] and the length [n] each stands for."""

    points: Array
    length: Array

    @classmethod
    def along(
        cls, x: Array, y: Array, z: Array | float = 0.0, density: Array | float = 1.0
    ) -> Tube:
        steps = [np.gradient(np.broadcast_to(np.asarray(v), x.shape)) for v in (x, y, z)]
        return cls(np.stack([x, y], 1), np.sqrt(sum(s * s for s in steps)) * density)


@dataclass(frozen=True)
class Canvas:
    """The pixels [n, n] on which a patient in a pose is drawn, margins included."""

    pose: Pose
    n: int

    @property
    def unit(self) -> tuple[float, float]:
        """Pixels per anatomical unit across and down."""
        span = self.n / (1 + 2 * MARGIN)
        return self.pose.scale[0] * span, self.pose.scale[1] * span

    @cached_property
    def grid(self) -> tuple[Array, Array]:
        """Anatomical x and y of every pixel, float32 [n, n] each."""
        t = (np.arange(self.n) + 0.5) / self.n * (1 + 2 * MARGIN) - MARGIN - 0.5
        (a, b), (c, d) = np.linalg.inv(self.pose.matrix)
        x = self.pose.centre[0] + a * t[None, :] + b * t[:, None]
        y = self.pose.centre[1] + c * t[None, :] + d * t[:, None]
        return x.astype(np.float32), y.astype(np.float32)

    @cached_property
    def _frequencies(self) -> tuple[Array, Array]:
        across = np.fft.rfftfreq(self.n).astype(np.float32)
        return across[None, :], np.fft.fftfreq(self.n).astype(np.float32)[:, None]

    def _deposit(self, tubes: Sequence[Tube]) -> Array:
        points = np.concatenate([t.points for t in tubes])
        mass = np.concatenate([t.length for t in tubes])
        place = (points - self.pose.centre) @ self.pose.matrix.T + 0.5 + MARGIN
        place = place / (1 + 2 * MARGIN) * self.n - 0.5
        corner = np.floor(place).astype(np.int64)
        part = place - corner
        image = np.zeros(self.n * self.n)
        for dx in (0, 1):
            for dy in (0, 1):
                px, py = corner[:, 0] + dx, corner[:, 1] + dy
                w = mass * np.abs(1 - dx - part[:, 0]) * np.abs(1 - dy - part[:, 1])
                inside = (px >= 0) & (py >= 0) & (px < self.n) & (py < self.n)
                image += np.bincount((py * self.n + px)[inside], w[inside], self.n * self.n)
        return image.reshape(self.n, self.n).astype(np.float32)

    def _disc(self, radius: float) -> Array:
        """Spectrum of a disc: drawn along a line it gives the chord lengths of a cylinder."""
        fx, fy = self._frequencies
        rx, ry = radius * self.unit[0], radius * self.unit[1]
        k = np.sqrt((rx * fx) ** 2 + (ry * fy[: self.n // 2 + 1]) ** 2)
        k[0, 0] = 1e-6
        half = np.asarray(rx * ry * j1(2 * np.pi * k) / k, np.float32)
        return np.concatenate([half, half[-2:0:-1]])

    def tubes(self, layers: Sequence[tuple[Sequence[Tube], float, float]]) -> Array:
        """Path length float32 [n, n] through layers of (tubes, radius, hollowness in 0..1).

        A hollowness of 0.8 leaves a shell: what is inside 0.75 of the radius counts for 0.2.
        """
        total = np.zeros((self.n, self.n // 2 + 1), np.complex64)
        for tubes, radius, hollow in layers:
            if not tubes:
                continue
            kernel = self._disc(radius)
            if hollow:
                kernel = kernel - hollow * self._disc(0.75 * radius)
            total += rfft2(self._deposit(tubes)) * kernel
        fx, fy = self._frequencies
        total *= np.exp(-2 * (np.pi * 0.6) ** 2 * (fx**2 + fy**2))
        image = irfft2(total, s=(self.n, self.n))
        return np.maximum(image, 0).astype(np.float32)


def step(value: Array, width: float) -> Array:
    """0 below -width, 1 above +width, smooth between."""
    t = np.clip(value / (2 * width) + 0.5, 0, 1)
    return t * t * (3 - 2 * t)


def dome(q: Array, power: float = 0.5) -> Array:
    """Height of a bump over squared radius q: 1 in the middle, 0 from q = 1 outwards."""
    return np.maximum(1 - q, 0) ** power


def merge(a: Array, b: Array) -> Array:
    """The thicker of two organs that overlap, without a crease where they are alike."""
    return np.asarray(0.5 * (a + b + np.sqrt((a - b) ** 2 + 0.02 * np.minimum(a + b, 1))))


def ellipse(
    x: Array, y: Array, cx: float, cy: float, a: float, b: float, tilt: float = 0.0
) -> Array:
    """Squared radius of a tilted ellipse: below 1 inside."""
    c, s = np.cos(tilt), np.sin(tilt)
    u, v = (x - cx) * c + (y - cy) * s, (y - cy) * c - (x - cx) * s
    return (u / a) ** 2 + (v / b) ** 2


def cloud(rng: np.random.Generator, like: Array, grain: float, octaves: int = 3) -> Array:
    """Smooth random field [n, n] of about unit spread; grain: its coarsest, in chest half-widths.

    It hangs on the picture, not on its pixels: every size shows the same clouds.
    """
    total = np.zeros_like(like)
    power = 0.0
    for octave in range(octaves):
        cells = round(3.3 / grain * 2**octave)
        values = Image.fromarray(rng.standard_normal((cells, cells)).astype(np.float32))
        smooth = values.resize(like.shape[::-1], Image.Resampling.BICUBIC)
        total += 0.6**octave * np.asarray(smooth)
        power += 0.36**octave * 0.5
    return total / np.float32(np.sqrt(power))

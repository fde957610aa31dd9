"""A child's chest as thickness maps: trunk, arms, heart, vessels' surroundings, lungs, gas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .canvas import Array, Canvas, Tube, cloud, dome, ellipse, merge, step


@dataclass(frozen=True)
class Body:
    """One child's measures, in chest half-widths; see canvas.py for the axes."""

    apex: float  # sharpness of the lung tops
    taper: float
    fat: float  # soft tissue outside the ribs
    depth: float  # front to back
    air: float  # how full the lungs are
    heart: tuple[float, float, float, float, float]  # cx, cy, half-width, half-height, tilt
    atrium: float
    thymus: float
    mediastinum: float
    domes: tuple[float, float]  # y of the right and left hemidiaphragm
    sag: float  # how far the costal angles lie below the domes
    spine: tuple[float, float]  # bend, offset of its phase
    turn: float  # rotation about the long axis: shifts front against back
    ribs: float  # spacing
    arms: tuple[float, float]  # angle of each upper arm from straight down
    neck: float
    chin: float  # y of the jaw's lower edge
    ossified: float  # density of bone

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Body:
        air = float(np.clip(rng.normal(0.74, 0.08), 0.55, 0.92))
        right = rng.normal(1.60, 0.07) + 0.8 * (air - 0.74)
        size = rng.normal(1.0, 0.08)
        high = rng.random() < 0.2
        return cls(
            apex=rng.uniform(1.9, 2.6),
            taper=rng.uniform(0.0, 0.06),
            fat=float(np.clip(rng.normal(0.17, 0.045), 0.11, 0.3)),
            depth=rng.normal(1.0, 0.07),
            air=air,
            heart=(
                rng.normal(0.17, 0.04),
                right - rng.uniform(0.27, 0.38),
                0.44 * size,
                0.54 * size,
                rng.normal(0.5, 0.12),
            ),
            atrium=rng.normal(0.37, 0.04),
            thymus=float(np.clip(rng.normal(0.26, 0.07), 0.17, 0.5)),
            mediastinum=rng.uniform(0.20, 0.26),
            domes=(right, right + rng.normal(0.07, 0.04)),
            sag=rng.uniform(0.24, 0.44),
            spine=(rng.normal(0, 0.025), rng.uniform(0, 1)),
            turn=rng.normal(0, 0.05),
            ribs=rng.normal(0.168, 0.008),
            arms=(
                rng.uniform(1.9, 2.7) if high else rng.uniform(0.1, 0.8),
                rng.uniform(1.9, 2.7) if high else rng.uniform(0.1, 0.8),
            ),
            neck=rng.uniform(0.40, 0.58),
            chin=rng.normal(-0.52, 0.13),
            ossified=rng.normal(1.0, 0.12),
        )

    def wall(self, y: Array) -> Array:
        """Half-width of the inside of the rib cage at height y."""
        t = np.clip(1 - (y + 0.03) / 1.4, 0, 1)
        width = (1 - t**self.apex) ** 0.55 * (1 - 0.10 * t)
        return np.asarray(width - self.taper * np.clip(y - 1.2, 0, 1.5) ** 2)

    def spine_x(self, y: Array) -> Array:
        return np.asarray(self.spine[0] * np.sin(2.2 * (y - 0.4)))


@dataclass(frozen=True)
class Tissue:
    """Thickness maps float32 [n, n] in chest half-widths."""

    body: Array  # skin to skin
    air: Array  # of it, gas in the lungs
    gas: Array  # of it, gas elsewhere: trachea, stomach, bowel
    lung: Array  # 0..1: inside the lungs' outline as a reader would trace it


def _trunk(body: Body, canvas: Canvas) -> Array:
    x, y = canvas.grid
    wall = 1.0 + body.fat - 0.06 * np.clip(y - 1.0, 0, 1) + 0.05 * np.clip(y - 1.7, 0, 1)
    shoulder = np.clip((0.62 - y) / 0.6, 0, 1)
    wide = wall + 0.30 * shoulder * shoulder * (3 - 2 * shoulder)
    top = np.clip((y + 0.42) / 0.55, 0, 1)
    half = body.neck + (wide - body.neck) * (0.35 * np.sqrt(1 - (1 - top) ** 2.2) + 0.65 * top**1.5)
    depth = 0.62 + 0.38 * np.clip((y + 0.4) / 1.0, 0, 1)
    trunk = 1.45 * body.depth * depth * dome((x / half) ** 2, 0.42)
    head = 1.6 * dome(ellipse(x, y, body.turn, body.chin - 0.55, 0.62, 0.6), 0.45)
    return np.maximum(trunk, head * (1 + 0.12 * cloud(np.random.default_rng(0), x, 0.3, 2)))


def _arms(body: Body, canvas: Canvas) -> Array:
    t = np.linspace(0, 1.6, 160)
    tubes = []
    for side, angle in zip((-1, 1), body.arms, strict=True):
        x0, y0 = side * (1.12 + 0.5 * body.fat), 0.10
        tubes.append(Tube.along(x0 + side * t * np.sin(angle), y0 + t * np.cos(angle)))
    return canvas.tubes([(tubes, 0.20 + 0.4 * body.fat, 0.0)])


def _diaphragm(body: Body, x: Array) -> Array:
    """The height y at which lung ends, for every x."""
    right, left = body.domes
    u = np.where(x < 0, (x + 0.42) / 0.58, (x - 0.46) / 0.54)
    return np.where(x < 0, right, left) + body.sag * np.abs(u) ** 2.1 * np.where(u * x > 0, 1, 0.25)


def _heart(body: Body, x: Array, y: Array) -> Array:
    cx, cy, a, b, tilt = body.heart
    front = body.turn
    ventricles = 1.0 * dome(ellipse(x, y, cx + front, cy, a, b, -tilt), 0.85)
    atrium = 0.9 * dome(ellipse(x, y, front - 0.05, cy + 0.02, body.atrium, 0.5), 0.85)
    great = 0.8 * dome(ellipse(x, y, front + 0.07, cy - 0.34, 0.34, 0.62), 0.85)
    knob = 0.6 * dome(ellipse(x, y, 0.12 + 0.5 * front, cy - 0.66, 0.17, 0.17), 0.5)
    return merge(merge(ventricles, atrium), merge(great, knob))


def _mediastinum(body: Body, x: Array, y: Array) -> Array:
    middle = body.mediastinum + 0.02 * step(y - 1.3, 0.3)
    thymus = body.thymus * dome((y - 0.32) ** 2 / 0.4, 0.5)
    core = 1.15 * dome(((x - body.spine_x(y)) / middle) ** 2, 0.75)
    front = 0.75 * dome(((x - body.turn) / np.maximum(thymus, 0.05)) ** 2, 0.7)
    return merge(core, front)


def _belly_gas(body: Body, canvas: Canvas, rng: np.random.Generator) -> Array:
    x, y = canvas.grid
    x = x + 0.06 * cloud(rng, x, 0.25, 2)
    y = y + 0.05 * cloud(rng, y, 0.25, 2)
    gas = np.zeros_like(x)
    if rng.random() < 0.6:
        a, b = rng.uniform(0.12, 0.32), rng.uniform(0.09, 0.22)
        cx, cy = rng.uniform(0.3, 0.6), body.domes[1] + b + rng.uniform(0.06, 0.16)
        gas += rng.uniform(0.2, 0.6) * dome(ellipse(x, y, cx, cy, a, b, rng.normal(0, 0.4)), 0.5)
    for _ in range(rng.integers(0, 5)):
        a, b = rng.uniform(0.05, 0.15, 2)
        cx, cy = rng.uniform(-0.7, 0.8), body.domes[0] + rng.uniform(0.45, 0.9)
        q = ellipse(x, y, cx, cy, a, b, rng.uniform(0, 3))
        gas = np.maximum(gas, rng.uniform(0.1, 0.4) * dome(q, 0.5))
    return gas


def _airway(body: Body, canvas: Canvas) -> Array:
    t = np.linspace(-0.7, 0.42, 90)
    sway = body.spine_x(t) + 0.6 * body.turn - 0.02
    trachea = Tube.along(sway, t)
    s = np.linspace(0, 1, 40)
    right = Tube.along(sway[-1] - 0.22 * s, 0.42 + 0.24 * s)
    left = Tube.along(sway[-1] + 0.30 * s, 0.42 + 0.22 * s)
    return canvas.tubes([([trachea], 0.062, 0.0), ([right, left], 0.04, 0.0)])


def tissue(body: Body, canvas: Canvas, rng: np.random.Generator) -> Tissue:
    """Everything but bone, vessels and disease."""
    x, y = canvas.grid
    wall = body.wall(y)
    q = (x / np.maximum(wall, 1e-3)) ** 2
    depth = 1.18 * body.depth * body.air * dome(q, 0.40) * (0.72 + 0.28 * step(y - 0.45, 0.45))
    above = step(_diaphragm(body, x) - y, 0.022)
    recess = 0.16 * dome(q, 0.5) * step(_diaphragm(body, x) + 0.22 - y, 0.2)
    centre = merge(_heart(body, x, y), _mediastinum(body, x, y))
    air = np.maximum(depth - centre, 0) * above
    air = np.maximum(air, np.minimum(recess, np.maximum(depth - centre, 0)))
    outline = (air > 0.12) * above
    grain = 1 + 0.06 * cloud(rng, x, 0.2, 4)
    skin = np.maximum(_trunk(body, canvas), _arms(body, canvas))
    skin = skin * (1 + 0.02 * cloud(rng, x, 0.8, 3))
    gas = _airway(body, canvas) + _belly_gas(body, canvas, rng)
    return Tissue(skin, np.minimum(air * grain, 0.9 * skin), gas, outline.astype(np.float32))

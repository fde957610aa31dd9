"""The bones: ribs, spine, clavicles, shoulder blades and upper arms, as path length in bone."""

from __future__ import annotations

import numpy as np

from .anatomy import Body
from .canvas import Array, Canvas, Tube, dome, step


def _ribs(body: Body, rng: np.random.Generator) -> tuple[list[Tube], list[Tube]]:
    """Twelve pairs, back halves and front halves. Each is a tilted ring round the chest, so the
    beam runs along it at the side wall, which is why ribs are brightest there."""
    back, front = [], []
    slope = rng.normal(1.0, 0.15)
    for number in range(12):
        for side in (-1, 1):
            y0 = -0.10 + body.ribs * number + rng.normal(0, 0.006)
            drop = slope * (0.20 + 0.34 * np.clip(number / 4, 0, 1)) + rng.normal(0, 0.012)
            end = 2.35 - 0.05 * number if number < 10 else 1.2
            theta = np.linspace(0.07, end, 240)
            width = max(float(body.wall(np.array(y0 + drop))) + 0.03, 0.40)
            width += side * 0.3 * body.turn
            x = width * np.sin(theta)
            y = y0 + drop * (1 - np.cos(theta)) - 0.035 * np.sin(2 * theta) * (theta < np.pi / 2)
            z = -0.5 * body.depth * np.cos(theta)
            x = (
                side * x
                + body.turn * step(theta - 1.6, 0.8)
                + float(body.spine_x(np.array(y0))) * np.cos(theta)
            )
            fade = (0.55 + 0.15 * min(number, 3, 11 - number)) * step(end - 0.06 - theta, 0.06)
            tube = Tube.along(x, y, z, fade)
            half = theta < np.pi / 2
            back.append(Tube(tube.points[half], tube.length[half]))
            front.append(Tube(tube.points[~half], tube.length[~half]))
    return back, front


def _shoulders(body: Body, rng: np.random.Generator) -> list[tuple[list[Tube], float, float]]:
    s = np.linspace(0, 1, 120)
    collar: list[Tube] = []
    blade: list[Tube] = []
    arm: list[Tube] = []
    head: list[Tube] = []
    lift = rng.normal(0.12, 0.07)
    for side, angle in zip((-1, 1), body.arms, strict=True):
        up = lift + rng.normal(0, 0.03)
        y = 0.03 - up * s + 0.05 * np.sin(2 * np.pi * s)
        collar.append(Tube.along(side * (0.10 + 0.80 * s) + body.turn * (1 - s), y, 0.1 * s, 1.6))
        sx, sy = side * 1.10, 0.06 - 0.3 * up
        tip = (side * rng.uniform(0.80, 0.95), rng.uniform(0.62, 0.8))
        inner = (side * rng.uniform(0.62, 0.72), 0.10)
        for a, b, d in (
            ((sx - side * 0.1, sy + 0.05), tip, 1.0),
            (inner, tip, 0.35),
            ((sx - side * 0.02, sy - 0.12), inner, 0.7),
        ):
            bow = 0.03 * np.sin(np.pi * s) * side
            line = Tube.along(a[0] + (b[0] - a[0]) * s + bow, a[1] + (b[1] - a[1]) * s, density=d)
            blade.append(line)
        ax, ay = side * (1.15 + 0.4 * body.fat), 0.10
        t = np.linspace(0.10, 1.6, 160)
        arm.append(Tube.along(ax + side * t * np.sin(angle), ay + t * np.cos(angle)))
        t = np.linspace(-0.02, 0.05, 12)
        head.append(Tube.along(ax + side * t * np.sin(angle), ay + t * np.cos(angle)))
    return [(collar, 0.042, 0.75), (blade, 0.035, 0.6), (arm, 0.07, 0.8), (head, 0.10, 0.5)]


def _spine(body: Body, canvas: Canvas) -> Array:
    """Bodies and discs, the rings of the pedicles and the spinous processes."""
    x, y = canvas.grid
    phase = y / body.ribs + body.spine[1]
    level = phase - np.round(phase)
    off = x - body.spine_x(y)
    half = 0.115 + 0.014 * np.clip(y, -0.5, 2) + 0.012 * (2 * level) ** 2
    column = dome((off / half) ** 2, 0.75)
    bodies = step(0.38 - np.abs(level), 0.06)
    plates = np.exp(-(((np.abs(level) - 0.36) / 0.05) ** 2))
    rings = 0.0
    for side in (-1, 1):
        r = np.sqrt(((off - side * 0.055) / 0.026) ** 2 + ((level + 0.12) * body.ribs / 0.034) ** 2)
        rings = rings + np.exp(-(((r - 0.8) / 0.35) ** 2))
    spinous = np.exp(-((off / 0.014) ** 2) - ((level - 0.15) / 0.2) ** 2)
    return np.asarray(
        column * (0.014 + 0.034 * bodies + 0.020 * plates) + 0.018 * rings + 0.02 * spinous
    )


def _processes(body: Body) -> list[Tube]:
    tubes = []
    s = np.linspace(0, 1, 24)
    for level in range(-4, 13):
        y0 = (level - body.spine[1] - 0.1) * body.ribs
        x0 = float(body.spine_x(np.array(y0)))
        for side in (-1, 1):
            tubes.append(
                Tube.along(x0 + side * (0.07 + 0.10 * s), y0 - 0.04 * s, density=1 - 0.3 * s)
            )
    return tubes


def skeleton(body: Body, canvas: Canvas, rng: np.random.Generator) -> Array:
    """Path length in bone, float32 [n, n], chest half-widths."""
    back, front = _ribs(body, rng)
    layers = [(back, 0.036, 0.82), (front, 0.039, 0.85), (_processes(body), 0.03, 0.4)]
    tubes = canvas.tubes(layers + _shoulders(body, rng))
    return np.asarray(body.ossified * (tubes + _spine(body, canvas)), np.float32)

"""Simulated lateral radiographs: the chest from the side, to tell it from a frontal one.

The same tissues as in `anatomy`, seen along the other axis: x runs from the front of the chest
(-1) to its back (+1), y from the lung apices (0) to the diaphragm (about 1.6). Coarser than the
frontal films, and made to vary more: what tells the views apart should not hang on details.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .annotations import annotate, metal
from .canvas import Array, Canvas, Pose, Tube, cloud, dome, ellipse, merge, step
from .projection import BONE, SOFT, Exposure, develop


def lateral(patient: int, *, seed: int = 0, size: int = 224) -> np.ndarray:
    """The lateral radiograph of one simulated child, uint8 [size, size], facing either way.

    The same arguments give the same picture.
    """
    from . import OVERSAMPLING, shrink  # the package's own module, above this one

    streams = np.random.SeedSequence([seed, patient, 1]).spawn(4)
    shape, lungs, shot, film = (np.random.default_rng(s) for s in streams)
    n = round(size * OVERSAMPLING * 1.12 / 4) * 4
    pose = Pose.sample(shape)
    # From the side a chest is narrower than from the front; films are cut to it or are not.
    across = pose.scale[0] * shape.uniform(0.85, 1.25)
    canvas = Canvas(
        replace(
            pose,
            centre=(shape.normal(0.1, 0.15), pose.centre[1] + shape.normal(0, 0.1)),
            angle=shape.normal(0, 0.07),
            scale=(across, pose.scale[1]),
            shear=shape.normal(0, 0.06),
        ),
        n,
    )
    depth = SOFT * _soft(canvas, shape, lungs) + BONE * _bones(canvas, shape)
    grey = develop(depth + metal(canvas, film), Exposure.sample(shot), size, film)
    pixels = np.clip(np.rint(shrink(annotate(grey, canvas, film), size)), 0, 255).astype(np.uint8)
    return pixels if shape.random() < 0.5 else pixels[:, ::-1].copy()


def _spine(y: Array, bend: float) -> Array:
    """How far back the vertebral bodies' middle lies, at height y."""
    return np.asarray(0.72 + bend * (0.5 - 0.45 * (y - 0.8) ** 2))


def _soft(canvas: Canvas, shape: np.random.Generator, lungs: np.random.Generator) -> Array:
    """Thickness of soft tissue along the beam, in chest half-widths."""
    x, y = canvas.grid
    bend, belly = shape.uniform(0.05, 0.3), shape.uniform(0.95, 1.2)
    top = np.clip((y + 0.45) / shape.uniform(0.5, 0.9), 0, 1)
    rise = np.sin(top * np.pi / 2) ** shape.uniform(0.8, 1.6)
    front = -(0.25 + (0.75 + 0.12 * np.clip(y, 0, 2)) * rise)
    back = _spine(y, bend) + 0.35
    middle, half = (front + back) / 2, np.maximum((back - front) / 2, 0.2)
    trunk = 2.3 * belly * (0.45 + 0.55 * top) * dome(((x - middle) / half) ** 2, 0.4)
    head = 1.8 * dome(ellipse(x, y, shape.normal(-0.15, 0.2), shape.normal(-1.05, 0.1), 0.7, 0.6))
    t = np.linspace(0, 1.4, 120)
    lift = shape.uniform(2.2, 3.3)  # arms go up, for they would lie on the chest
    arm = Tube.along(0.15 + t * np.sin(lift) * shape.choice([-1, 1]), 0.15 + t * np.cos(lift))
    body = np.maximum(trunk, head) + canvas.tubes([([arm], shape.uniform(0.2, 0.32), 0.0)])

    domes = shape.normal(1.55, 0.1) + np.array([0.0, shape.normal(0.1, 0.06)])
    sternum = front + shape.uniform(0.08, 0.16)
    rear = back - shape.uniform(0.12, 0.25)
    centre, wide = (sternum + rear) / 2, np.maximum((rear - sternum) / 2, 0.1)
    tip = np.clip((y + 0.05) / shape.uniform(0.5, 1.0), 0, 1)  # lungs are narrow at the top
    wide = wide * np.maximum(np.sqrt(1 - (1 - tip) ** 2), 0.02)
    inside = dome(((x - centre) / wide) ** 2, shape.uniform(0.25, 0.5)) * (0.4 + 0.6 * tip)
    air = np.zeros_like(x)
    for level in domes:  # each side's, the lowest behind
        floor = level + 0.25 * x + shape.uniform(0.15, 0.45) * np.clip(x, 0, 1) ** 2
        air = air + shape.uniform(0.55, 0.95) * inside * step(floor - y, 0.03)
    heart_y = domes[0] - shape.uniform(0.15, 0.4)
    heart = shape.uniform(0.5, 0.9) * dome(
        ellipse(x, y, shape.normal(-0.35, 0.08), heart_y, 0.55, 0.42, shape.normal(0.6, 0.2)), 0.9
    )
    hila = ellipse(x, y, shape.normal(0.0, 0.06), shape.normal(0.7, 0.08), 0.3, 0.4, 0.3)
    vessels = (
        shape.uniform(0.25, 0.5)
        * dome(hila, 1.2)
        * np.clip(1 + 0.3 * cloud(lungs, x, 0.15, 2), 0, 2)
    )
    air = np.maximum(air - merge(heart, vessels), 0.05 * air)
    air *= 1 + shape.uniform(0.02, 0.12) * cloud(lungs, x, shape.uniform(0.15, 0.5), 3)
    if shape.random() < 0.4:  # somebody ill
        cx, cy = shape.uniform(-0.5, 0.6), shape.uniform(0.5, 1.4)
        air *= 1 - shape.uniform(0.3, 0.8) * dome(ellipse(x, y, cx, cy, 0.4, 0.3, shape.normal()))
    s = np.linspace(-0.7, 0.6, 80)
    trachea = Tube.along(_spine(s, bend) - 0.6 + 0.15 * s, s)
    gas = canvas.tubes([([trachea], shape.uniform(0.07, 0.11), 0.0)])
    if shape.random() < 0.6:
        gas = gas + shape.uniform(0.2, 0.7) * dome(
            ellipse(x, y, shape.uniform(-0.6, 0.2), domes[1] + 0.3, 0.3, 0.17)
        )
    body = body * (1 + 0.03 * cloud(lungs, x, 0.8, 3))
    return np.asarray(np.maximum(body - air - gas, 0.0) * (body > 0), np.float32)


def _bones(canvas: Canvas, shape: np.random.Generator) -> Array:
    """Path length in bone: vertebrae, ribs of both sides, breastbone, shoulder blades."""
    x, y = canvas.grid
    bend, spacing = shape.uniform(0.05, 0.3), shape.normal(0.17, 0.01)
    level = y / spacing - np.round(y / spacing)
    column = dome(((x - _spine(y, bend)) / shape.uniform(0.11, 0.16)) ** 2, 0.6)
    spine = column * (0.02 + 0.07 * step(0.36 - np.abs(level), 0.06))
    ribs = []
    s = np.linspace(0, 1, 120)
    for number in range(11):
        for _ in range(2):
            y0 = -0.1 + spacing * number + shape.normal(0, 0.02)
            start = float(_spine(np.array(y0), bend)) + 0.2
            end = -0.5 - 0.05 * min(number, 6)
            rib_x = start + (end - start) * s
            rib_y = y0 + (0.3 + 0.05 * number) * s ** shape.uniform(0.8, 1.2)
            ribs.append(Tube.along(rib_x, rib_y, density=shape.uniform(0.3, 0.7)))
    front = [Tube.along(-0.95 - 0.12 * s, 0.1 + 1.0 * s)]
    blade = [Tube.along(0.75 + 0.15 * s, 0.05 + 0.55 * s), Tube.along(0.6 + 0.2 * s, 0.0 + 0.6 * s)]
    tubes = canvas.tubes([(ribs, 0.035, 0.8), (front, 0.05, 0.6), (blade, 0.035, 0.5)])
    return np.asarray(shape.normal(1.0, 0.15) * (spine + tubes), np.float32)

"""Pneumonia: how much of the lung's gas is replaced by fluid, and where a reader would see it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .anatomy import Body, Tissue
from .canvas import Array, Canvas, cloud, dome, ellipse, step
from .vessels import trees

KINDS = ("consolidation", "patchy", "interstitial")
VISIBLE = 0.10  # chest half-widths of fluid that a reader would mark


@dataclass(frozen=True)
class Disease:
    kind: str
    fluid: Array  # float32 [n, n], thickness of fluid where gas was
    strands: Array  # float32 [n, n], thickened bronchial walls and septa
    region: Array  # bool [n, n], the ground truth


def _lobe(body: Body, x: Array, y: Array, rng: np.random.Generator) -> Array:
    """0..1 membership of one lobe (or most of it): a fissure is sharp, other borders are not."""
    side = -1 if rng.random() < 0.6 else 1
    own = step(side * x - 0.02, 0.04)
    base = body.domes[0 if side < 0 else 1]
    fissure = rng.uniform(0.72, 0.85) + rng.uniform(-0.25, 0.25) * np.abs(x)
    blur = rng.uniform(0.03, 0.12)
    ragged = 0.09 * cloud(rng, x, 0.35, 3)
    lobe = rng.choice(["upper", "middle", "lower"], p=[0.35, 0.2, 0.45])
    if lobe == "upper":
        return (
            own
            * step(fissure - y + 0.4 * ragged, blur)
            * step(y - rng.uniform(-0.2, 0.2) + ragged, 0.24)
        )
    if lobe == "middle":
        inner = step(rng.uniform(0.55, 0.8) - np.abs(x) + ragged, 0.25)
        return (
            own
            * step(y - fissure + 0.4 * ragged, blur)
            * inner
            * step(base - 0.05 - y + ragged, 0.24)
        )
    top = rng.uniform(0.85, 1.2) + rng.uniform(-0.2, 0.3) * np.abs(x)
    return own * step(y - top + ragged, 0.24)


def _consolidation(body: Body, canvas: Canvas, rng: np.random.Generator) -> Array:
    x, y = canvas.grid
    share = _lobe(body, x, y, rng) * rng.uniform(0.55, 0.9) * (1 + 0.16 * cloud(rng, x, 0.3, 3))
    if rng.random() < 0.3:
        share = np.maximum(share, 0.8 * _lobe(body, x, y, rng) * rng.uniform(0.4, 0.7))
    bronchi = canvas.tubes(trees(rng, 4, 0.03))
    return share * (1 - np.clip(rng.uniform(3, 9) * bronchi, 0, 0.5))


def _patchy(body: Body, canvas: Canvas, rng: np.random.Generator) -> Array:
    x, y = canvas.grid
    sides = (-1, 1) if rng.random() < 0.7 else (rng.choice([-1, 1]),)
    warp_x, warp_y = 0.07 * cloud(rng, x, 0.3, 3), 0.07 * cloud(rng, x, 0.3, 3)
    clear = np.ones_like(x)
    for _ in range(rng.integers(4, 10)):
        side = int(rng.choice(sides))
        cx = side * rng.uniform(0.25, 0.75)
        cy = rng.triangular(0.3, 1.2, body.domes[0])
        a, b = rng.uniform(0.16, 0.4, 2)
        q = ellipse(x + warp_x, y + warp_y, cx, cy, a, b, rng.uniform(0, 3))
        clear *= 1 - rng.uniform(0.3, 0.6) * dome(q, 1.1)
    return (1 - clear) * (1 + 0.12 * cloud(rng, x, 0.15, 2))


def _interstitial(body: Body, canvas: Canvas, rng: np.random.Generator) -> tuple[Array, Array]:
    x, y = canvas.grid
    hila = np.exp(-((np.abs(x) - 0.3) ** 2 / 0.18) - (y - 0.75) ** 2 / 0.32)
    haze = rng.uniform(0.10, 0.2) + rng.uniform(0.18, 0.34) * hila
    haze = haze * (1 + 0.3 * cloud(rng, x, 0.5, 3))
    net = np.exp(-((cloud(rng, x, 0.085, 2) / 0.22) ** 2))
    coarse = np.exp(-((cloud(rng, x, 0.16, 2) / 0.16) ** 2))
    cuffs = canvas.tubes(trees(rng, 5, 0.05))
    net = rng.uniform(0.04, 0.10) * np.maximum(net, coarse) * (0.5 + hila)
    return haze, net + rng.uniform(0.5, 1.0) * cuffs


def disease(body: Body, tissue: Tissue, canvas: Canvas, rng: np.random.Generator) -> Disease:
    """One pneumonia, drawn at random among the kinds."""
    kind = str(rng.choice(KINDS, p=[0.36, 0.32, 0.32]))
    strands = np.zeros_like(tissue.air)
    if kind == "consolidation":
        share = _consolidation(body, canvas, rng)
    elif kind == "patchy":
        share = _patchy(body, canvas, rng)
    else:
        share, strands = _interstitial(body, canvas, rng)
        strands = strands * np.clip(tissue.air / 0.5, 0, 1)
    fluid = tissue.air * np.clip(share, 0, 0.95)
    region = (fluid > VISIBLE) & (tissue.lung > 0.5)
    return Disease(kind, fluid.astype(np.float32), strands.astype(np.float32), region)

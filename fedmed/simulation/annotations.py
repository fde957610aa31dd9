"""What is on a film besides the child: side marker, electrodes, tubes, collimated borders."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .canvas import Array, Canvas, Tube


def _letter(canvas: Canvas, rng: np.random.Generator) -> Array:
    """A lead letter at the patient's right (image left), float32 [n, n] in 0..1."""
    n = canvas.n
    height = max(8, round(n * rng.uniform(0.04, 0.085)))
    text = "R" if rng.random() < 0.93 else "L"
    u = rng.uniform(0.075, 0.17) if text == "R" else rng.uniform(0.83, 0.9)
    v = rng.uniform(0.08, 0.38) if rng.random() < 0.85 else rng.uniform(0.38, 0.7)
    sheet = Image.new("L", (n, n))
    font = ImageFont.load_default(height)
    at = (u * n, v * n)
    ImageDraw.Draw(sheet).text(
        at, text, fill=255, font=font, anchor="mm", stroke_width=height // 24
    )
    if rng.random() < 0.3:
        sheet = sheet.rotate(rng.normal(0, 8), Image.Resampling.BICUBIC, center=at)
    return np.asarray(sheet, np.float32) / 255


def _wires(rng: np.random.Generator) -> list[Tube]:
    """Electrode leads and lines: smooth random curves over the chest."""
    tubes = []
    s = np.linspace(0, 1, 500)
    for _ in range(rng.integers(1, 4)):
        knots = rng.uniform((-1.3, -0.6), (1.3, 2.2), (4, 2))
        a, b, c, d = (k[:, None] for k in knots)
        x, y = a * (1 - s) ** 3 + 3 * b * s * (1 - s) ** 2 + 3 * c * s**2 * (1 - s) + d * s**3
        tubes.append(Tube.along(x, y))
    return tubes


def metal(canvas: Canvas, rng: np.random.Generator) -> Array:
    """Optical depth added by wires, electrodes and tubes, float32 [n, n]."""
    depth = np.zeros((canvas.n, canvas.n), np.float32)
    if rng.random() < 0.16:
        depth += 22 * canvas.tubes([(_wires(rng), 0.011, 0.0)])
        s = np.linspace(0, 0.01, 8)
        spots = rng.uniform((-1.1, 0.0), (1.1, 1.9), (rng.integers(1, 4), 2))
        discs = [Tube.along(cx + s, cy + s, density=9.0) for cx, cy in spots]
        depth += 6 * canvas.tubes([(discs, 0.055, 0.6)])
    if rng.random() < 0.08:
        y = np.linspace(-0.8, rng.uniform(0.25, 2.0), 300)
        x = rng.normal(0, 0.02) + 0.03 * np.sin(2 * y) + 0.12 * np.clip(y - 1.4, 0, 1)
        depth += 10 * canvas.tubes([([Tube.along(x, y)], 0.022, 0.85)])
    return depth


def annotate(grey: Array, canvas: Canvas, rng: np.random.Generator) -> Array:
    """The developed picture [n, n] with its marker and the shutters' borders."""
    if rng.random() < 0.92:
        level = rng.uniform(215, 255)
        letter = _letter(canvas, rng)
        grey = grey * (1 - letter) + level * letter
    t = np.arange(canvas.n) / canvas.n
    for axis in (0, 1):
        for far in (False, True):
            if rng.random() < 0.06:
                edge = 0.053 + rng.uniform(0.01, 0.06)
                open_ = np.clip(((1 - t if far else t) - edge) * canvas.n / 2, 0, 1)
                shade = rng.uniform(0, 12)
                open_ = open_[:, None] if axis == 0 else open_[None, :]
                grey = grey * open_ + shade * (1 - open_)
    return grey

"""What visitors do to films: turned, tinted, photographed, in a viewer's window.

Each change is a function of a grey film and a random generator that gives a file's bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

Generator = np.random.Generator
Change = Callable[[Image.Image, Generator], bytes]


def encoded(picture: Image.Image) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _turned(turn: Callable[[Image.Image], Image.Image]) -> Change:
    return lambda film, _: encoded(turn(film))


def _on_its_side(film: Image.Image, generator: Generator) -> bytes:
    way = generator.choice([Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270])
    return encoded(film.transpose(Image.Transpose(way)))


def screenshot(film: Image.Image, generator: Generator) -> bytes:
    """The film in a viewer's plain window, with its text in the corners."""
    width, height = 1280, int(generator.choice([720, 800, 960]))
    shade = int(generator.choice([0, 0, 0, 20, 30, 255]))
    screen = Image.new("L", (width, height), shade)
    tall = int(height * generator.uniform(0.6, 1.0))
    wide = min(int(tall * generator.uniform(1.0, 1.4)), width)  # the data set's films were squashed
    left, top = (int(generator.uniform(0.2, 0.8) * room) for room in (width - wide, height - tall))
    screen.paste(film.resize((wide, tall), Image.Resampling.BILINEAR), (left, top))
    draw, font, ink = ImageDraw.Draw(screen), ImageFont.load_default(16), 255 if shade < 128 else 20
    for row, words in enumerate(("DOE^JOHN", "M 5Y", "2024-03-01 12:33", "W: 2048 L: 1024")):
        draw.text((12, 12 + 22 * row), words, fill=ink, font=font)
    for row, words in enumerate(("Zoom 46 %", "Im: 1/1")):
        draw.text((width - 150, height - 60 + 22 * row), words, fill=ink, font=font)
    return encoded(screen)


def tinted(film: Image.Image, generator: Generator) -> bytes:
    """As on a blue base, or on a warm light box, as a JPEG."""
    share = np.asarray(film, np.float32)[..., None] / 255
    low = generator.uniform(0, 50, 3) * [0.3, 0.5, 1.0]
    high = generator.uniform([100, 160, 210], [210, 240, 255])
    colours = low + share ** generator.uniform(0.85, 1.2) * (high - low)
    if generator.random() < 0.4:
        colours = colours[..., ::-1]
    buffer = BytesIO()
    Image.fromarray(np.clip(colours, 0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def photographed(film: Image.Image, generator: Generator) -> bytes:
    """A telephone's photograph of a screen: bluish, aslant, unevenly lit, with moire and noise."""
    side = 448
    large = film.resize((side, side), Image.Resampling.BILINEAR)
    large = large.rotate(generator.uniform(-4, 4), Image.Resampling.BILINEAR, fillcolor=25)
    cut = generator.uniform(0, 0.05, 4) * side
    box = (cut[0], cut[1], side - cut[2], side - cut[3])
    large = large.resize((side, side), Image.Resampling.BILINEAR, box=box)
    levels = np.asarray(large.filter(ImageFilter.GaussianBlur(1.0)), np.float32)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    light = 1 - generator.uniform(0.05, 0.3) * np.hypot(x - generator.uniform(-1, 1), y)
    moire = 4 * np.sin(generator.uniform(60, 160) * x + generator.uniform(-40, 40) * y)
    levels = 15 + 0.85 * levels * light + moire
    tint = generator.uniform([0.8, 0.88, 0.95], [1.0, 1.0, 1.08])
    colours = levels[..., None] * tint + generator.normal(0, 4, (side, side, 3))
    buffer = BytesIO()
    Image.fromarray(np.clip(colours, 0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


# What is wanted of each: a warning, or none.
CHANGED: dict[str, tuple[str, Change]] = {
    "upside down (half a turn)": ("warn", _turned(lambda film: film.rotate(180))),
    "upside down (flipped)": ("warn", _turned(ImageOps.flip)),
    "on its side": ("warn", _on_its_side),
    "negative": ("warn", _turned(ImageOps.invert)),
    "left and right exchanged": ("pass", _turned(ImageOps.mirror)),
    "screenshot of a viewer": ("pass", screenshot),
    "tinted": ("pass", tinted),
    "photograph of a screen": ("pass", photographed),
}

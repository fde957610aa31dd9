"""python -m fedmed.simulation sheet.png --count 24 --seed 0: a contact sheet to look at."""

from __future__ import annotations

import argparse

from PIL import Image, ImageDraw

from . import simulate


def sheet(count: int, seed: int, size: int = 224, columns: int = 6) -> Image.Image:
    """Healthy and ill children in turn, each captioned, under a line that says: simulated."""
    rows = -(-count // columns)
    band, caption = 24, 16
    page = Image.new("L", (columns * size, band + rows * (size + caption)), 24)
    draw = ImageDraw.Draw(page)
    draw.text((6, 5), f"FedMed: simulated radiographs, not of real people (seed {seed})", fill=230)
    for index in range(count):
        film = simulate(index, index % 2, seed=seed, size=size)
        x, y = index % columns * size, band + index // columns * (size + caption)
        page.paste(Image.fromarray(film.pixels), (x, y))
        draw.text((x + 4, y + size + 2), f"{film.patient} {film.kind}", fill=200)
    return page


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m fedmed.simulation", description=__doc__)
    parser.add_argument("path", help="the PNG to write")
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sheet(options.count, options.seed).save(options.path)


if __name__ == "__main__":
    main()

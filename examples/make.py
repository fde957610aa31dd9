"""python examples/make.py: the simulated radiographs that visitors click.

A pool of simulated patients whom no model has seen; of each class, half are taken where the
hospitals of the bundled snapshot disagree most (`fedmed.examples.choose`), the rest evenly. How
the central or the federated model does plays no part. Without a bundled snapshot: the first ones.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from fedmed import simulation
from fedmed.backbone import BUNDLED
from fedmed.cli import run
from fedmed.data.simulated import FIRST_EXAMPLE
from fedmed.examples import choose
from fedmed.facts import CLASSES, SIMULATED
from fedmed.prediction import Panel
from fedmed.snapshot import CONFIG, Snapshot

FOLDER = Path(__file__).parent
POOL, COUNT, SIZE = 60, 12, 512


def films() -> list[simulation.Radiograph]:
    """The pool, one film a patient, every other one with pneumonia."""
    return [
        simulation.simulate(FIRST_EXAMPLE + place, place % len(CLASSES), size=SIZE)
        for place in range(POOL)
    ]


def verdicts(pool: list[simulation.Radiograph]) -> np.ndarray:
    """What each hospital of the bundled snapshot says: [H, n], 0 or 1; all 0 without one."""
    if not (BUNDLED / CONFIG).exists():
        return np.zeros((1, len(pool)), int)
    panel = Panel(Snapshot.open(BUNDLED))
    readings = [panel.read(Image.fromarray(film.pixels)) for film in pool]
    hospitals = [model for model in readings[0].labels if model.startswith("hospital_")]
    return np.array(
        [[CLASSES.index(found.labels[model]) for found in readings] for model in hospitals]
    )


def write(chosen: list[simulation.Radiograph]) -> None:
    """Replace the pictures and examples.json in this folder."""
    for old in FOLDER.glob("*.png"):
        old.unlink()
    entries = []
    for number, film in enumerate(chosen, start=1):
        label = CLASSES[film.label]
        file = f"{number:02d}_{label.lower()}.png"
        Image.fromarray(film.pixels).save(FOLDER / file, optimize=True)
        source = f"simulated, patient {film.patient} ({film.kind}): no real person"
        licence = SIMULATED["licence"]
        entries.append({"file": file, "label": label, "source": source, "licence": licence})
    text = json.dumps({"examples": entries}, indent=1)
    (FOLDER / "examples.json").write_text(text + "\n", encoding="utf-8")


def main() -> None:
    pool = films()
    chosen = choose(verdicts(pool), [film.label for film in pool], COUNT)
    write([pool[index] for index in chosen])
    print(f"{len(chosen)} examples written to {FOLDER}")


if __name__ == "__main__":
    raise SystemExit(run(main))

"""python -m examples.make: the simulated radiographs that visitors click.

A pool of simulated patients whom no model has seen, without pneumonias that a reader would easily
overlook; of each class, half are taken where hospitals of the snapshot that is shown first
disagree, half where they do not (`snapshot.examples.choose`), but for a hospital that says the same
of nearly all; out of those that draw no warning. Those come first on which one hospital stands
alone. How the central or the federated model does plays no part.

The films are finished pale and soft, and cut a little higher than wide, by settings that were
tried on 80 patients outside the pool: more of it draws warnings, and cut wider than high, the
network that ships calls nearly all of them PNEUMONIA. `--measure` tells how the federated models do
on 200 others.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from fedmed import simulation
from fedmed.backbones.backbone import IMAGENET, NETWORK
from fedmed.cli import run
from fedmed.data.simulated import FIRST_EXAMPLE
from fedmed.inference.predictor import Prediction, Predictor
from fedmed.snapshot.examples import choose, telling
from fedmed.snapshot.reader import Snapshot
from fedmed.task import CLASSES, SIMULATED

FOLDER = Path(__file__).parent
PATIENTS, COUNT, SIZE = 120, 12, 512
FIRST_MEASURED, MEASURED = 6_000, 200  # in neither the pool nor those that settings were tried on
CUT, CONTRAST, BRIGHTNESS, SOFT = 0.06, 0.75, -0.04, SIZE / 170
PLAIN = 1 / 20  # of the film that is opaque: with less, half of the pneumonias are missed
CHOSEN = (
    "Simulated patients whom no model has seen, chosen so that the hospitals disagree on half of "
    "them; none is hard to see, none draws a warning."
)


def films(places: range) -> list[simulation.Radiograph]:
    """One film a patient, every other one with pneumonia."""
    return [
        simulation.simulate(FIRST_EXAMPLE + place, place % len(CLASSES), size=SIZE)
        for place in places
    ]


def is_plain(film: simulation.Radiograph) -> bool:
    """Whether the truth about a film is easy to see, by the simulator's own account."""
    return not film.label or float(film.opacity.mean()) >= PLAIN


def finished(film: simulation.Radiograph) -> Image.Image:
    """The picture of a film, pale and soft: see above."""
    grey = film.pixels.astype(np.float32) / 255
    grey = (grey - 0.5) * CONTRAST + 0.5 + BRIGHTNESS
    image = Image.fromarray(np.rint(255 * grey.clip(0, 1)).astype(np.uint8))
    margin = round(CUT * SIZE)
    return image.filter(ImageFilter.GaussianBlur(SOFT)).crop((margin, 0, SIZE - margin, SIZE))


def predictions(pool: list[simulation.Radiograph], snapshot: Path = NETWORK) -> list[Prediction]:
    """What the models of a snapshot say of each film, as it is finished."""
    predictor = Predictor(Snapshot.open(snapshot))
    return [predictor.predict_image(finished(film)) for film in pool]


def verdicts(found: list[Prediction]) -> np.ndarray:
    """The hospitals' verdicts: [H, n], 0 or 1."""
    hospitals = [model for model in found[0].labels if model.startswith("hospital_")]
    return np.array(
        [[CLASSES.index(prediction.labels[model]) for prediction in found] for model in hospitals]
    )


def write(chosen: list[simulation.Radiograph]) -> None:
    """Replace the pictures and examples.json in this folder."""
    for old in FOLDER.glob("*.png"):
        old.unlink()
    entries = []
    for number, film in enumerate(chosen, start=1):
        label = CLASSES[film.label]
        file = f"{number:02d}_{label.lower()}.png"
        finished(film).save(FOLDER / file, optimize=True)
        source = f"simulated, patient {film.patient} ({film.kind}): no real person"
        licence = SIMULATED["licence"]
        entries.append({"file": file, "label": label, "source": source, "licence": licence})
    text = json.dumps({"chosen": CHOSEN, "examples": entries}, indent=1)
    (FOLDER / "examples.json").write_text(text + "\n", encoding="utf-8")


def agreeing(found: list[Prediction], pool: list[simulation.Radiograph]) -> str:
    """How many films' labels the federated model agrees with."""
    right = [
        one.labels["federated"] == CLASSES[film.label]
        for one, film in zip(found, pool, strict=True)
    ]
    return f"the federated model agrees with {sum(right)} of {len(right)}"


def in_order(picked: list[int], divided: np.ndarray) -> list[int]:
    """Those first on which one hospital stands alone, then what divides them the more; by class.

    `picked` are of both classes in turn, and `divided` the verdicts [H, n] of all hospitals.
    """
    against = np.minimum(divided.sum(axis=0), (1 - divided).sum(axis=0))  # of each, the fewer
    ranked = [
        sorted(picked[label :: len(CLASSES)], key=lambda film: (against[film] != 1, against[film]))
        for label in range(len(CLASSES))
    ]
    return [film for pair in zip(*ranked, strict=True) for film in pair]


def measure() -> None:
    """How many of each class the federated models of both snapshots get right."""
    pool = films(range(FIRST_MEASURED, FIRST_MEASURED + MEASURED))
    for snapshot in (NETWORK, IMAGENET):
        found = predictions(pool, snapshot)
        for place, label in enumerate(CLASSES):
            said = [
                one.labels["federated"] == label
                for one, film in zip(found, pool, strict=True)
                if film.label == place
            ]
            print(f"{snapshot.name}: of {len(said)} {label}, {sum(said)} are called so")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true", help="how the federated models do")
    if parser.parse_args().measure:
        return measure()
    everybody = films(range(PATIENTS))
    pool = [film for film in everybody if is_plain(film)]
    found = predictions(pool)
    print(f"{len(pool)} of {len(everybody)} films are plain: {agreeing(found, pool)}")
    usual = [place for place, prediction in enumerate(found) if not prediction.warnings]
    print(f"{len(usual)} of them draw no warning")
    divided = verdicts([found[place] for place in usual])
    picked = choose(telling(divided), [pool[p].label for p in usual], COUNT)
    chosen = [usual[i] for i in in_order(picked, divided)]
    write([pool[place] for place in chosen])
    shown = agreeing([found[place] for place in chosen], [pool[place] for place in chosen])
    print(f"the examples, written to {FOLDER}: {shown}")


if __name__ == "__main__":
    raise SystemExit(run(main))

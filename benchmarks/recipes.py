"""Which views and weights should heads be trained on? `python -m benchmarks.recipes --data DIR`

Each candidate trains a central head and a federation of five hospitals (20 rounds of 3 epochs), on
the train patients but those held out. Both are scored on the latter, as they are and with what
tells the classes apart by framing swapped (fedmed.evaluation.shifted), by which recipes are chosen.
The official test split is neither passed nor scored.
"""

from __future__ import annotations

import argparse
import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from fedmed import cli, data
from fedmed.backbones.backbone import load as load_backbone
from fedmed.data.cohort import labels, patients
from fedmed.data.holdout import description, hold_out
from fedmed.data.partition import split
from fedmed.evaluation import shifted
from fedmed.evaluation.evaluation_set import EvaluationSet
from fedmed.evaluation.shifted import SwappedValidation
from fedmed.features.cache import FeatureCache
from fedmed.features.extract import extract
from fedmed.features.sites import Features, TrainingSite
from fedmed.federated.algorithms.fedavg import FedAvg
from fedmed.federated.rounds import federate
from fedmed.imaging.augmentation import CLEAN, Kind, View
from fedmed.training.heads import Heads, new_heads
from fedmed.training.local_training import train
from fedmed.training.optimizer import Optimisation
from fedmed.training.recipe import Recipe
from fedmed.training.tensors import pick

MIXES: dict[str, tuple[tuple[Kind, ...], bool]] = {
    "flip-rotate": (("flip-rotate",), False),
    "clean, flip-rotate": (("flip-rotate",), True),
    "degraded": (("degraded",), False),
    "clean, degraded": (("degraded",), True),
    "degraded, flip-rotate": (("degraded", "flip-rotate"), False),
    "clean, degraded, flip-rotate": (("degraded", "flip-rotate"), True),
}
EPOCHS = (10, 60)
ROUNDS, LOCAL_EPOCHS = 20, 3
SCORED = ("balanced_accuracy", "auc")


def candidates() -> list[Recipe]:
    """Every mix, with classes as they are and weighing the same."""
    return [
        Recipe(f"{mix}{', balanced' * balanced}", kinds, clean, balanced, "a candidate")
        for (mix, (kinds, clean)), balanced in product(MIXES.items(), (False, True))
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recipes", description=__doc__)
    parser.add_argument("--data", required=True, help="folder with the public data set")
    parser.add_argument("--backbone", default="imagenet", help="default: %(default)s")
    parser.add_argument("--views", type=int, nargs="+", default=[2, 4], help="default: 2 4")
    parser.add_argument("--seed", type=int, default=42, help="default: %(default)s")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/recipes.json"))
    options = parser.parse_args()

    backbone = load_backbone(options.backbone)
    training, validation = hold_out(data.load(options.data).train, seed=options.seed)
    cache = FeatureCache(backbone)
    pairs = list(product(candidates(), options.views))
    every = dict.fromkeys(view for one, count in pairs for view in one.views(count, options.seed))
    wanted = [(validation, [CLEAN]), *shifted.wanted(validation)]
    extract([*wanted, (training, list(every))], backbone, cache)
    features = Features(training, cache)
    parts = split(
        patients(training),
        labels(training),
        hospitals=5,
        scheme="label-skew",
        alpha=0.5,
        seed=options.seed,
    )
    plain = EvaluationSet(description(True), validation, Features(validation, cache).view(CLEAN))
    protocols: dict[str, EvaluationSet | SwappedValidation]
    protocols = {"validation": plain, "shifted": SwappedValidation.read(validation, cache)}

    rows: dict[str, dict[str, Any]] = {}
    print(f"{'%: balanced accuracy / AUC':72} {'validation':>13} {'shifted':>13}")
    for one, count in pairs:
        views = one.views(count, options.seed)
        found = _heads(one, views, features, parts, options.seed)
        scores = {
            model: {name: _scores(p, heads) for name, p in protocols.items()}
            for model, heads in found.items()
        }
        rows.setdefault(one.name, {})[str(count)] = scores
        for model, row in scores.items():
            told = (f"{b:6.1f} / {a:4.1f}" for b, a in (pair.values() for pair in row.values()))
            print(f"{f'{one.name}, {count} views: {model}':72} {' '.join(told)}", flush=True)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    result = {
        "images": {"training": len(training), "validation": len(validation)},
        "backbone": backbone.id,
        "engine": backbone.engine.title,
        "models": list(scores),
        "recipes": rows,
    }
    options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _heads(
    recipe: Recipe, views: list[View], features: Features, parts: list[np.ndarray], seed: int
) -> dict[str, Heads]:
    """The central head after each of EPOCHS, and the federated one."""
    counts = np.bincount(features.labels, minlength=2)
    optimisation = Optimisation(class_weights=recipe.class_weights(int(counts[0]), int(counts[1])))
    everything = TrainingSite("central", features, np.arange(len(features.labels)), views)
    sites = [
        TrainingSite(f"hospital_{number}", features, part, views)
        for number, part in enumerate(parts, start=1)
    ]
    zero = new_heads(1, features.view(CLEAN).shape[1])
    central = {
        f"central, {epochs} epochs": train(
            zero, [everything], range(epochs), optimisation, seed=seed
        )
        for epochs in EPOCHS
    }
    federation = federate(
        sites,
        algorithm=FedAvg(),
        model=pick(zero.tensors(), 0),
        rounds=ROUNDS,
        local_epochs=LOCAL_EPOCHS,
        optimisation=optimisation,
        seed=seed,
    )
    return central | {f"federated, {ROUNDS} x {LOCAL_EPOCHS}": Heads.of(federation.model)}


def _scores(protocol: EvaluationSet | SwappedValidation, heads: Heads) -> dict[str, float]:
    """SCORED of one head, in percent."""
    metrics = protocol.score(heads, ["head"])["head"]
    return {name: round(100 * metrics[name]["value"], 2) for name in SCORED}


if __name__ == "__main__":
    raise SystemExit(cli.run(main))

"""Which way of federating networks validates best? `python -m benchmarks.variants --data DIR`.

The federation alone, on half the patients that a run trains on, with other algorithms, draws and
sizes, for two seeds: each deals the patients to hospitals, draws the half and holds others out.
Networks are scored on the patients held out, clean and shifted; the official test split is never
looked at. A line is written when its federation ends, and one of the same code is not run again.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from benchmarks import measuring
from fedmed import cli
from fedmed.code_digest import OF_ROUNDS, code_digest
from fedmed.data.cohort import labels, patients
from fedmed.evaluation.answers import Answers
from fedmed.evaluation.shifted import SwappedValidation
from fedmed.experiment.ask_networks import backbone_of, head_of, images_to_ask
from fedmed.experiment.network_federation import federations
from fedmed.experiment.prepare_network import PreparedNetwork, prepare_network, shrink
from fedmed.experiment.settings import Settings, parse
from fedmed.experiment.timing import Stopwatch
from fedmed.federated.algorithms import OF_NETWORKS
from fedmed.imaging.augmentation import CLEAN
from fedmed.training.heads import probabilities
from fedmed.training.network import PIXELS, ImageSite
from fedmed.training.network_trainer import read_network

TOPIC = "variants"
SHARE = 0.5  # of the patients to train on
ROUNDS = 5


@dataclass(frozen=True)
class Variant:
    """What is another way than FedAvg at 128 px with both classes drawn equally often."""

    algorithm: str = "fedavg"
    momentum: float | None = None  # of fedavgm
    balanced: bool = True  # classes are drawn equally often; else they weigh in the loss
    sizes: tuple[int, ...] = (128,) * ROUNDS  # of the networks' input, by round


VARIANTS = {
    "FedAvg": Variant(),
    "FedAvgM, momentum 0.3": Variant("fedavgm", 0.3),
    "FedAvgM, momentum 0.5": Variant("fedavgm", 0.5),
    "FedAvg, classes weigh in the loss": Variant(balanced=False),
    "FedAvg, 96 px in 2 rounds, then 128": Variant(sizes=(96, 96, 128, 128, 128)),
    "FedAvg, 128 px in 3 rounds, then 160": Variant(sizes=(128, 128, 128, 160, 160)),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.variants", description=__doc__)
    parser.add_argument("--data", required=True, help="the public data set")
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43])
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    options = parser.parse_args()
    code = code_digest(OF_ROUNDS)
    rows = measuring.kept(TOPIC, code)
    for name in options.only:
        for seed in options.seeds:
            if any((row["variant"], row["seed"]) == (name, seed) for row in rows):
                continue
            with tempfile.TemporaryDirectory() as folder:
                scores = run(VARIANTS[name], options.data, seed, Path(folder) / "run")
            rows.append({"variant": name, "seed": seed} | scores)
            measuring.write(TOPIC, {"code": code, "share": SHARE, "rows": rows})
    if rows:
        print(measuring.table(rows))


def run(variant: Variant, data: str, seed: int, output: Path) -> dict[str, float]:
    """Train a variant's federated network, and return its scores on the patients held out."""
    if variant.momentum is not None:
        OF_NETWORKS[variant.algorithm] = {"momentum": variant.momentum}
    options = {"data": data, "seed": seed, "rounds": ROUNDS, "algorithm": variant.algorithm}
    given = [f"--{name}={value}" for name, value in options.items()]
    settings = parse(["--train", "network", "--output", str(output), *given])
    prepared = prepare_network(settings, Stopwatch())
    regime = replace(prepared.regime, balanced=variant.balanced)
    prepared = replace(prepared, hospitals=halved(prepared, seed), regime=regime)
    for stage, at in stages(variant, settings, prepared):
        (path, _) = federations(stage, at, [settings.format])[settings.format]
    scores = score(at, path)
    prepared.state.finish()
    return scores


def halved(prepared: PreparedNetwork, seed: int) -> list[ImageSite]:
    """The hospitals with the X-rays of some of their patients."""
    everyone = patients(prepared.training)
    known = sorted(set(everyone))
    some = set(random.Random(f"{seed} half").sample(known, round(SHARE * len(known))))
    found = []
    for site in prepared.hospitals:
        kept = [place for place, row in enumerate(site.rows) if everyone[row] in some]
        digests = tuple(site.digests[place] for place in kept)
        found.append(replace(site, labels=site.labels[kept], digests=digests, rows=site.rows[kept]))
    return found


def stages(
    variant: Variant, settings: Settings, prepared: PreparedNetwork
) -> Iterator[tuple[Settings, PreparedNetwork]]:
    """The run up to each round after which another size is trained at, and to its end."""
    rounds = 0
    for size, some in groupby(variant.sizes):
        rounds += len(list(some))
        file = prepared.state.networks() / f"pixels-{size}.safetensors"
        small = shrink(prepared.pixels[: len(prepared.training)], size)
        save_file({PIXELS: small}, file)
        sites = [replace(site, file=file) for site in prepared.hospitals]
        regime = replace(prepared.regime, size=size)
        yield replace(settings, rounds=rounds), replace(prepared, hospitals=sites, regime=regime)


def score(prepared: PreparedNetwork, network: Path) -> dict[str, float]:
    """Balanced accuracy, AUC and log loss in which both classes weigh the same, on validation."""
    held_out = prepared.held_out
    digests = {xray.digest for xray in held_out}
    wanted = [one for one in images_to_ask(prepared) if set(one[1][1]) <= digests]
    tensors, answers = read_network(network), Answers([TOPIC])
    answers.ask(TOPIC, backbone_of(tensors, prepared), head_of(tensors), wanted)
    heads = answers.heads([TOPIC])
    clean = torch.from_numpy(answers.load(CLEAN, [xray.digest for xray in held_out]))
    swapped = SwappedValidation.read(held_out, answers)
    of_pairs = swapped.score(heads, [TOPIC])[TOPIC]
    return {
        "validation, log loss": _loss(probabilities(heads, clean).numpy(), labels(held_out)),
        "shifted, balanced accuracy": of_pairs["balanced_accuracy"]["value"],
        "shifted, AUC": of_pairs["auc"]["value"],
        "shifted, log loss": _loss(swapped.probabilities(heads)[0], labels(held_out)),
    }


def _loss(found: np.ndarray, truth: Sequence[int]) -> float:
    """Mean -log of the probability of what is true, the mean of both classes'."""
    right = np.where(np.asarray(truth) == 1, found, 1 - found).clip(1e-12)
    losses = -np.log(right)
    return float(np.mean([losses[..., np.asarray(truth) == one].mean() for one in (0, 1)]))


if __name__ == "__main__":
    raise SystemExit(cli.run(main))

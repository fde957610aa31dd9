"""How do time and memory grow with the number of hospitals? `python -m benchmarks.hospitals`.

A round is a broadcast, 3 local epochs at batch size 64 in every hospital, serialised FP32 updates
both ways, and their weighted mean, on simulated features. The number of hospitals grows in two
ways: each with 20 X-rays, and 10,000 X-rays divided among all. Then the same rounds by Flower's
simulation engine, where `pip install "flwr[simulation]==1.41.0"` was run, and what else a run of
train.py does on cached features: the federations in all wire formats, and the scoring.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.hospitals_plot import draw
from benchmarks.measuring import median_of, table, write
from fedmed import cli
from fedmed.backbones.resnet18 import WIDTH
from fedmed.evaluation.metrics import evaluate
from fedmed.federated.algorithms.fedavg import FedAvg
from fedmed.federated.channel import Channel
from fedmed.federated.rounds import federate
from fedmed.federated.state import State
from fedmed.federated.transforms import FORMATS
from fedmed.training.heads import new_heads
from fedmed.training.optimizer import Optimisation
from fedmed.training.tensors import pick

REPOSITORY = Path(__file__).parent.parent
COUNTS = (5, 50, 500, 1000, 5000)
EACH, IN_ALL = 20, 10_000  # X-rays
ROUNDS, LOCAL_EPOCHS, SEED = 5, 3, 42
PEER_COUNTS, PEER_IN_ALL, PEER_ROUNDS = (5, 100), 2_000, 5
REAL_SIZES = (1209, 679, 439, 370, 461)  # of the bundled snapshot's five hospitals
HELD_OUT, OFFICIAL = 443, 624  # X-rays that its models are scored on
OPTIMISATION = Optimisation(learning_rate=1e-3, batch_size=64)
DIRECTION = torch.randn(WIDTH, generator=torch.Generator().manual_seed(0)) / WIDTH**0.5


@dataclass(frozen=True)
class SimulatedSite:
    """A hospital whose X-rays' features are drawn, the same in every epoch."""

    name: str
    labels: Tensor
    features: Tensor

    def epoch(self, number: int) -> Tensor:
        return self.features


@cache
def site(number: int, images: int) -> SimulatedSite:
    """Hospital `number`, the same wherever it is drawn; three quarters of it PNEUMONIA."""
    generator = torch.Generator().manual_seed(number)
    labels = (torch.rand(images, generator=generator) < 0.75).long()
    features = torch.randn(images, WIDTH, generator=generator)
    features += 3 * (labels[:, None] - 0.5) * DIRECTION
    return SimulatedSite(f"hospital_{number}", labels, features)


def sites(count: int, images: int) -> list[SimulatedSite]:
    return [site(number, images) for number in range(1, count + 1)]


def go_on(hospitals: list[SimulatedSite], state: State | None, rounds: int, wire: str) -> State:
    """`rounds` more rounds."""
    return federate(
        hospitals,
        algorithm=FedAvg(),
        model=pick(new_heads(1, WIDTH).tensors(), 0),
        rounds=rounds + (state.round if state else 0),
        local_epochs=LOCAL_EPOCHS,
        optimisation=OPTIMISATION,
        channel=Channel.of(wire),
        seed=SEED,
        state=state,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hospitals", description=__doc__)
    parser.add_argument("--one", type=int, nargs=2, metavar=("HOSPITALS", "X-RAYS"))
    parser.add_argument("--plot", type=Path, default=REPOSITORY / "docs" / "hospitals.svg")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one_number(*options.one)))
        return

    growth = {
        f"{EACH} X-rays each": [(count, EACH) for count in COUNTS],
        f"{IN_ALL:,} X-rays in all": [(count, IN_ALL // count) for count in COUNTS],
    }
    numbers = {
        way: [_child("benchmarks.hospitals", "--one", *pair) for pair in pairs]
        for way, pairs in growth.items()
    }
    rows = [{"X-rays": way, **row} for way, found in numbers.items() for row in found]
    print(f"One round, median of {ROUNDS}:\n\n{table(rows)}\n")
    draw(numbers, options.plot)

    peer: list[dict[str, Any]] = []
    if find_spec("flwr") and find_spec("ray"):
        peer = [
            _child("benchmarks.flower", count, PEER_IN_ALL // count, PEER_ROUNDS)
            for count in PEER_COUNTS
        ]
        print(f"{PEER_IN_ALL:,} X-rays in all, one round, median of {PEER_ROUNDS}:\n")
        print(table(peer) + "\n")
    else:
        print(
            'Flower is not installed, so it was left out: pip install "flwr[simulation]==1.41.0"\n'
        )
    parts = rest_of_a_run()
    print(f"On cached features, median seconds of 3:\n\n{table(parts)}")
    path = write("hospitals", {"round": numbers, "flower": peer or None, "run": parts})
    print(f"\nWritten: {path} and {options.plot}")


def one_number(count: int, images: int) -> dict[str, Any]:
    """Seconds of a round, and memory above that of the features, in a process of its own."""
    hospitals = sites(count, images)
    before = _peak_mib()
    state, seconds = go_on(hospitals, None, 1, "fp32"), []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        state = go_on(hospitals, state, 1, "fp32")
        seconds.append(time.perf_counter() - started)
    return {
        "hospitals": count,
        "X-rays each": images,
        "seconds": statistics.median(seconds),
        "features, MiB": count * images * WIDTH * 4 / 2**20,
        "memory above, MiB": _peak_mib() - before,
        "bytes a round": sum(state.ledger.up[-1].values()) + sum(state.ledger.down[-1].values()),
    }


def rest_of_a_run() -> list[dict[str, Any]]:
    """The federations in three wire formats and the scoring of a run, as train.py does them."""
    few = [site(number, images) for number, images in enumerate(REAL_SIZES, 1)]
    many = [site(number, 3 + (number <= sum(REAL_SIZES) - 3000)) for number in range(1, 1001)]
    generator = np.random.default_rng(SEED)

    def score(models: int) -> None:
        for images in (HELD_OUT, OFFICIAL):
            labels = (np.arange(images) % 8 > 2).astype(int)
            patients = [str(number // 2) for number in range(images)]
            logits = generator.normal(2 * (labels - 0.5), 1, (models, images))
            evaluate(1 / (1 + np.exp(-logits)), labels, patients)

    found = median_of(
        3,
        {
            "federated 5": lambda: [go_on(few, None, 5, wire) for wire in FORMATS],
            "federated 1000": lambda: [go_on(many, None, 5, wire) for wire in FORMATS],
            "score 5": lambda: score(2 + 2 * 5),
            "score 1000": lambda: score(2 + 2 * 1000),
        },
    )
    return [
        {
            "hospitals": count,
            "federated: 3 formats, 5 rounds": found[f"federated {count}"],
            "scored: models": 2 + 2 * count,
            "scored: validation and test": found[f"score {count}"],
        }
        for count in (5, 1000)
    ]


def _child(module: str, *arguments: object) -> dict[str, Any]:
    """What a module run in a process of its own prints last, as JSON."""
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {
            "FLWR_HOME": home,
            "FLWR_TELEMETRY_ENABLED": "0",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_raylet_start_wait_time_s": "120",  # more than half a minute on a busy machine
            "PYTHONPATH": str(REPOSITORY),
        }
        done = subprocess.run(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=REPOSITORY,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    return json.loads(done.stdout.splitlines()[-1])


def _peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    raise SystemExit(cli.run(main))

"""What does a round of each algorithm take? `python -m benchmarks.rounds`

Drawn features of 4,600 X-rays, as many as the public data set has to train on, dealt to 5, 100 and
1,000 hospitals. A round is everything but reading features: local work of 3 epochs, messages
written and read, the server's part. Algorithms that need more images of a class than hospitals
then have are let send all the same.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import measuring
from fedmed import cli
from fedmed.federated.algorithm import Algorithm
from fedmed.federated.algorithms import ALGORITHMS
from fedmed.federated.rounds import federate
from fedmed.training.heads import new_heads
from fedmed.training.optimizer import Optimisation
from fedmed.training.tensors import pick

IMAGES, WIDTH = 4_600, 512
LOCAL_EPOCHS = 3


@dataclass(frozen=True, eq=False)
class Drawn:
    """A hospital of drawn features."""

    name: str
    features: torch.Tensor
    labels: torch.Tensor

    def epoch(self, number: int) -> torch.Tensor:
        return self.features


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rounds", description=__doc__)
    parser.add_argument("--hospitals", type=int, nargs="+", default=[5, 100, 1_000])
    parser.add_argument("--images", type=int, default=IMAGES, help="default: %(default)s")
    parser.add_argument("--repeats", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--json", type=Path, default=measuring.RESULTS / "rounds.json")
    options = parser.parse_args()
    rows = [
        measure(name, sites(count, options.images), options.repeats)
        for count in options.hospitals
        for name in ALGORITHMS
    ]
    print(measuring.table(rows))
    found = {"machine": measuring.machine(), "images": options.images, "rounds": rows}
    options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def sites(hospitals: int, images: int) -> list[Drawn]:
    """Deal drawn features to so many hospitals, as evenly as it goes."""
    generator = torch.Generator().manual_seed(0)
    labels = (torch.rand(images, generator=generator) < 0.74).long()
    features = torch.randn(images, WIDTH, generator=generator) + 0.1 * labels[:, None]
    parts = np.array_split(np.arange(images), hospitals)
    return [
        Drawn(f"hospital_{number}", features[part], labels[part])
        for number, part in enumerate(parts, start=1)
    ]


def measure(name: str, hospitals: list[Drawn], repeats: int) -> dict[str, Any]:
    """Return a round's processor seconds, the least of some, and the bytes of one message up."""
    algorithm: Algorithm = ALGORITHMS[name]()
    if "fewest" in {field.name for field in fields(algorithm)}:  # type: ignore[arg-type]
        algorithm = replace(algorithm, fewest=0)  # type: ignore[type-var]
    zero = pick(new_heads(1, WIDTH).tensors(), 0)
    seconds = []
    for _ in range(repeats):
        started = time.process_time()
        state = federate(
            hospitals, algorithm=algorithm, model=zero, rounds=1, local_epochs=LOCAL_EPOCHS,
            optimisation=Optimisation(), seed=0,
        )  # fmt: skip
        seconds.append(time.process_time() - started)
    return {
        "algorithm": name,
        "hospitals": len(hospitals),
        "seconds": min(seconds),
        "bytes up": max(state.ledger.up[0].values()),
    }


if __name__ == "__main__":
    raise SystemExit(cli.run(main))

"""How much of the networks' scores is chance? `python -m benchmarks.seeds --data DIR`.

The run that ships, its federated and its central network alone, with other seeds: each deals the
patients to hospitals, holds others out and orders the X-rays anew. Networks are scored as a
snapshot stores them. The seed that ships is told beside them. Nothing is chosen by this: the
official test split is looked at once for each network, and docs/measured.md counts the looks.

A seed's line is written when its networks are scored, with a digest of the code that made it. One
of the same code is not run again; one of other code stays, and is told to be of such, until its
seed is asked for.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import measuring
from fedmed import cli
from fedmed.backbones.backbone import NETWORK
from fedmed.cli import Elsewhere
from fedmed.code_digest import OF_ROUNDS, code_digest
from fedmed.evaluation.answers import Answers
from fedmed.evaluation.shifted import SwappedValidation
from fedmed.experiment.again import settings_of
from fedmed.experiment.ask_networks import backbone_of, head_of, images_to_ask, official
from fedmed.experiment.network_federation import centrally, federations
from fedmed.experiment.prepare_network import prepare_network
from fedmed.experiment.settings import Settings
from fedmed.experiment.timing import Stopwatch
from fedmed.report.schema import Report
from fedmed.snapshot.networks import BASE, stored
from fedmed.snapshot.reader import Snapshot
from fedmed.training.network_trainer import read_network

TOPIC = "seeds"
MODELS = (BASE, "central")
SCORED = ("accuracy", "balanced_accuracy", "specificity", "auc")

Scores = dict[str, dict[str, float]]  # by protocol and metric


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.seeds", description=__doc__)
    parser.add_argument("--data", required=True, help="the public data set")
    parser.add_argument("--seeds", type=int, nargs="+", default=[43, 44, 45, 46])
    parser.add_argument("--workers", type=int, help="processes (default: one a core)")
    options = parser.parse_args()
    snapshot = Snapshot.open(NETWORK)
    ships = {"seed": snapshot.config["seed"]} | shipped(snapshot.report)
    code = code_digest(OF_ROUNDS)
    rows = {row["seed"]: row for row in measuring.kept(TOPIC)}
    for seed in lacking(rows, options.seeds, code):
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder) / "run"
            settings = of_seed(snapshot, options.data, seed, output, options.workers)
            rows[seed] = {"seed": seed, "code": code} | run(settings)
        rows = dict(sorted(rows.items()))
        path = measuring.write(TOPIC, {"ships": ships, "rows": [*rows.values()]})
        print(f"written to {path}")
    print(measuring.table([_flat(row) for row in (ships, *rows.values())]))


def lacking(rows: Mapping[int, Mapping[str, Any]], asked: Sequence[int], code: str) -> list[int]:
    """Which of the seeds asked for were not run, or by other code."""
    return [seed for seed in asked if rows.get(seed, {}).get("code") != code]


def of_seed(
    snapshot: Snapshot, data: str, seed: int, output: Path, workers: int | None = None
) -> Settings:
    """The options of the run that ships, with another seed."""
    again = settings_of(snapshot, Elsewhere(data), aside=TOPIC, resume=False, networks=True)
    return replace(again, seed=seed, workers=workers, audit=False, output=output)


def run(settings: Settings) -> dict[str, Scores]:
    """Train the federated and the central network of a run, and return their scores."""
    prepared = prepare_network(settings, Stopwatch())
    (federated, _) = federations(settings, prepared, [settings.format])[settings.format]
    paths = {BASE: federated, "central": centrally(settings, prepared)}
    networks = stored({name: read_network(path) for name, path in paths.items()})
    answers = Answers(MODELS)
    wanted = images_to_ask(prepared)
    for name, network in networks.items():
        answers.ask(name, backbone_of(network, prepared), head_of(network), wanted)
    swapped = SwappedValidation.read(prepared.held_out, answers)
    protocols = official(prepared, answers) | {"shifted": swapped}
    prepared.state.finish()
    found = {name: one.score(answers.heads(MODELS), MODELS) for name, one in protocols.items()}
    return _by_model(found)


def shipped(report: Report) -> dict[str, Scores]:
    """The same scores of the run that ships."""
    protocols: Any = report["protocols"]
    return _by_model({name: one["models"] for name, one in protocols.items()})


def _by_model(found: Mapping[str, Any]) -> dict[str, Scores]:
    return {
        model: {
            protocol: {name: models[model][name]["value"] for name in SCORED}
            for protocol, models in found.items()
        }
        for model in MODELS
    }


def _flat(row: Mapping[str, Any]) -> dict[str, float]:
    return {"seed": row["seed"]} | {
        f"{model} {name}": round(100 * row[model]["test"][name], 1)
        for model in MODELS
        for name in ("accuracy", "auc")
    }


if __name__ == "__main__":
    raise SystemExit(cli.run(main))

"""How much of the federated network's scores is chance? `python -m benchmarks.seeds --data DIR`.

The run that ships, its federation alone, with other seeds: each deals the patients to hospitals,
holds others out and orders the X-rays anew. Networks are scored as a snapshot stores them. The seed
that ships is told beside them. Nothing is chosen by this: the official test split is looked at
once for each seed, and docs/measured.md counts the looks.

A seed's line is written when its federation ends, and one of the same code is not run again.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import fields
from pathlib import Path
from typing import Any

from benchmarks import measuring
from fedmed import cli
from fedmed.backbones.backbone import NETWORK
from fedmed.code_digest import OF_ROUNDS, code_digest
from fedmed.evaluation.answers import Answers
from fedmed.evaluation.shifted import SwappedValidation
from fedmed.experiment.ask_networks import backbone_of, head_of, images_to_ask, official
from fedmed.experiment.network_federation import federations
from fedmed.experiment.prepare_network import prepare_network
from fedmed.experiment.settings import Settings
from fedmed.experiment.timing import Stopwatch
from fedmed.report.schema import Report
from fedmed.snapshot.networks import BASE, stored
from fedmed.snapshot.reader import Snapshot
from fedmed.training.network_trainer import read_network

TOPIC = "seeds"
PROTOCOLS = ("validation", "shifted", "test")
SCORED = ("accuracy", "balanced_accuracy", "specificity", "auc")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.seeds", description=__doc__)
    parser.add_argument("--data", required=True, help="the public data set")
    parser.add_argument("--seeds", type=int, nargs="+", default=[43, 44, 45, 46])
    parser.add_argument("--workers", type=int, help="processes (default: one a core)")
    options = parser.parse_args()
    snapshot = Snapshot.open(NETWORK)
    ships = {"seed": snapshot.config["seed"], "scores": shipped(snapshot.report)}
    code = code_digest(OF_ROUNDS)
    rows = {row["seed"]: row for row in measuring.kept(TOPIC, code)}

    def write() -> Path:
        found = {"code": code, "ships": ships, "rows": list(rows.values())}
        return measuring.write(TOPIC, found)

    for seed in options.seeds:
        if seed not in rows:
            with tempfile.TemporaryDirectory() as folder:
                settings = settings_of(snapshot.report, options.data, seed, Path(folder) / "run")
                rows[seed] = {"seed": seed, "scores": run(settings)}
            write()
    shown = [{"seed": row["seed"]} | _flat(row["scores"]) for row in (ships, *rows.values())]
    print(measuring.table(shown))
    print(f"written to {write()}")


def settings_of(report: Report, data: str, seed: int, output: Path) -> Settings:
    """The options of the run that ships, with another seed."""
    known = {option.name for option in fields(Settings)}
    given: dict[str, Any] = {name: v for name, v in report["recipe"].items() if name in known}
    return Settings(**given | {"data": data, "seed": seed, "audit": False, "output": output})


def run(settings: Settings) -> dict[str, dict[str, float]]:
    """Train the federated network of a run, and return its scores by protocol."""
    prepared = prepare_network(settings, Stopwatch())
    (path, _) = federations(settings, prepared, [settings.format])[settings.format]
    network = stored({BASE: read_network(path)})[BASE]
    answers = Answers([BASE])
    wanted = images_to_ask(prepared)
    answers.ask(BASE, backbone_of(network, prepared), head_of(network), wanted)
    swapped = SwappedValidation.read(prepared.held_out, answers)
    prepared.state.finish()
    return {
        name: _scores(one.score(answers.heads([BASE]), [BASE])[BASE])
        for name, one in (official(prepared, answers) | {"shifted": swapped}).items()
    }


def shipped(report: Report) -> dict[str, dict[str, float]]:
    """The same scores of the run that ships."""
    protocols: Any = report["protocols"]
    return {name: _scores(one["models"][BASE]) for name, one in protocols.items()}


def _scores(metrics: Any) -> dict[str, float]:
    return {name: metrics[name]["value"] for name in SCORED}


def _flat(scores: dict[str, dict[str, float]]) -> dict[str, float]:
    return {
        f"{protocol} {name}": round(100 * scores[protocol][name], 1)
        for protocol in PROTOCOLS
        for name in ("accuracy", "auc")
    }


if __name__ == "__main__":
    raise SystemExit(cli.run(main))

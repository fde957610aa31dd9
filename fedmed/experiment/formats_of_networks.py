"""What updates in fewer bits cost whole networks: measured on the X-rays of a finished run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fedmed.evaluation.answers import Answers
from fedmed.experiment.ask_networks import backbone_of, head_of, images_to_ask, official
from fedmed.experiment.network_federation import federations
from fedmed.experiment.plan import Plan
from fedmed.experiment.prepare_network import PreparedNetwork
from fedmed.experiment.settings import Settings
from fedmed.federated.ledger import full_model_bytes, summary
from fedmed.federated.transforms import FORMATS
from fedmed.imaging.augmentation import CLEAN
from fedmed.report.network_sections import titles_of
from fedmed.report.schema import Communication
from fedmed.training.network_trainer import read_network


def lacking(before: Communication) -> list[str]:
    """The formats of which a report's `communication` has counted bytes alone."""
    formats = before["formats"]
    return [name for name in FORMATS if name in formats and not formats[name]["measured"]]


def formats(
    settings: Settings, prepared: PreparedNetwork, wanted: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Run the federation in each of some formats, at least one.

    Returns those formats' entries of the report's `communication`.

    Raises:
        UserError: training diverged, or a process died.
    """
    trained = federations(settings, prepared, wanted)
    answers = Answers(wanted)
    clean = [(view, images) for view, images in images_to_ask(prepared) if view == CLEAN]
    for name, (path, _) in trained.items():
        network = read_network(path)
        answers.ask(name, backbone_of(network, prepared), head_of(network), clean)
    sets = official(prepared, answers)
    plan = Plan.of(settings, prepared.sites, simulated=prepared.audit["simulated"])
    entries = summary(
        {name: state.ledger for name, (_, state) in trained.items()},
        full_model_bytes(network),
        titles_of(plan.algorithm.sends),
    )
    scores = {name: one.score(answers.heads(wanted), wanted) for name, one in sets.items()}
    return {
        name: entries[name] | {"metrics": {split: found[name] for split, found in scores.items()}}
        for name in wanted
    }

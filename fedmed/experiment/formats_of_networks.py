"""What updates in fewer bits cost whole networks: measured on the X-rays of a finished run."""

from __future__ import annotations

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


def formats(
    settings: Settings, prepared: PreparedNetwork, before: Communication
) -> dict[str, dict[str, Any]]:
    """Run the federation in every format of which `before` has counted bytes alone.

    Returns those formats' entries of the report's `communication`.

    Raises:
        UserError: training diverged, or a process died.
    """
    lacking = [name for name in FORMATS if not before["formats"][name]["measured"]]
    trained = federations(settings, prepared, lacking)
    answers = Answers(lacking)
    wanted = [(view, images) for view, images in images_to_ask(prepared) if view == CLEAN]
    for name, (path, _) in trained.items():
        network = read_network(path)
        answers.ask(name, backbone_of(network, prepared), head_of(network), wanted)
    sets = official(prepared, answers)
    plan = Plan.of(settings, prepared.sites, simulated=prepared.audit["simulated"])
    entries = summary(
        {name: state.ledger for name, (_, state) in trained.items()},
        full_model_bytes(network),
        titles_of(plan.algorithm.sends),
    )
    scores = {name: one.score(answers.heads(lacking), lacking) for name, one in sets.items()}
    return {
        name: entries[name] | {"metrics": {split: found[name] for split, found in scores.items()}}
        for name in lacking
    }

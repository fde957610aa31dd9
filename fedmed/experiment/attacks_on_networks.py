"""Whole networks attacked: who was in whose training set?

To train networks of the attacker's own, as against heads, would take as long as the run, many times
over. Attacked is what a network's answers give away by themselves, by the loss attack.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from fedmed.data.cohort import Xray, labels, patients
from fedmed.evaluation.answers import Answers
from fedmed.experiment.prepare_network import PreparedNetwork
from fedmed.imaging.augmentation import CLEAN
from fedmed.privacy import membership
from fedmed.privacy.membership import Target
from fedmed.report.highlights import displayed_models
from fedmed.task import is_hospital

DESIGN = (
    "the networks themselves: are they surer of patients they were trained on than of those held "
    "out? The two differ in their patients' numbers, too; what that is worth is told by asking a "
    "hospital's network about the other hospitals' patients in place of its own"
)


def attack(prepared: PreparedNetwork, answers: Answers) -> dict[str, Any]:
    """Return the report's `privacy.audit` of networks that answered on all X-rays."""
    training, held_out = prepared.training, prepared.held_out
    everybody = np.arange(len(training))
    parts = dict(zip(prepared.sites, prepared.parts, strict=True))
    found: dict[str, Any] = {}
    for name in displayed_models(["central", "federated", *parts]):
        own = np.asarray(parts.get(name, everybody))
        found[name] = _attacked(answers, name, [training[place] for place in own], held_out)
        others = np.setdiff1d(everybody, own)
        if is_hospital(name) and len(others):
            unseen = [training[place] for place in others]
            found[name]["control"] = _attacked(answers, name, unseen, held_out)["loss"]
    return {
        "membership": {
            "unit": "patient",
            "design": DESIGN,
            "shadow_heads": 0,
            "false_positives": membership.FALSE_POSITIVES,
            "models": found,
        }
    }


def _attacked(
    answers: Answers, name: str, members: Sequence[Xray], others: Sequence[Xray]
) -> dict[str, Any]:
    xrays = [*members, *others]
    names, whose = np.unique(patients(xrays), return_inverse=True)
    inside = np.zeros(len(names), bool)
    inside[whose[: len(members)]] = True
    target = Target(
        features=torch.from_numpy(answers.load(CLEAN, [xray.digest for xray in xrays])),
        labels=torch.tensor(labels(xrays)),
        patients=whose,
        members=inside,
    )
    return membership.attack_by_loss(answers.heads([name]), [name], target)[name]

"""A run attacked: does its privacy hold, and who was in whose training set?"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from fedmed.data.cohort import labels, patients
from fedmed.experiment.fit import Fitted
from fedmed.experiment.prepare import Prepared
from fedmed.experiment.settings import Settings
from fedmed.experiment.twins import Twins, twins
from fedmed.imaging.augmentation import CLEAN
from fedmed.privacy import canaries, membership
from fedmed.privacy.membership import Target
from fedmed.privacy.private_training import PrivateTrainer
from fedmed.report.highlights import displayed_models
from fedmed.training.heads import stack, unstack

DESIGN = (
    "each model's twin, trained in the same way on a random half of the same patients; members and "
    "others differ by nothing but the draw"
)


def attack(settings: Settings, prepared: Prepared, fitted: Fitted) -> dict[str, Any]:
    """Return the report's `privacy.audit`.

    Attacked are the twins of the models. Of a hospital's own, only its own patients are asked for.
    """
    audit: dict[str, Any] = {}
    mechanism = fitted.protection.mechanism
    if mechanism is not None and not mechanism.means and prepared.space is not None:
        trainer = PrivateTrainer(mechanism, prepared.space)
        audit["canaries"] = canaries.audit(trainer, np.random.default_rng(settings.seed))
    attacked = twins(settings, prepared, fitted)
    everybody = np.arange(len(prepared.training))
    found = _attacked(settings, prepared, fitted, attacked, ["central", "federated"], everybody)
    parts = dict(zip(prepared.sites, prepared.parts, strict=True))
    for name in displayed_models(parts):
        found |= _attacked(settings, prepared, fitted, attacked, [name], parts[name])
    audit["membership"] = {
        "unit": "patient",
        "design": DESIGN,
        "shadow_heads": membership.SHADOWS,
        "false_positives": membership.FALSE_POSITIVES,
        "models": found,
    }
    return audit


def _attacked(
    settings: Settings,
    prepared: Prepared,
    fitted: Fitted,
    attacked: Twins,
    names: list[str],
    part: np.ndarray,
) -> dict[str, Any]:
    """Attack twins by name about the patients of `part`, places among the training X-rays."""
    heads = dict(
        zip(["central", "federated", *prepared.sites], unstack(attacked.heads), strict=True)
    )
    target = _target(prepared, part, attacked.inside[part])
    shadow, inside = membership.shadows(
        target, settings.epochs, fitted.optimisation, seed=settings.seed
    )
    chosen = stack([heads[name] for name in names])
    return membership.attack(chosen, names, target, shadow, inside)


def _target(prepared: Prepared, part: np.ndarray, inside: np.ndarray) -> Target:
    """The patients of `part`, of whose X-rays some are `inside` a training set."""
    asked = [prepared.training[place] for place in part]
    names, whose = np.unique(patients(asked), return_inverse=True)
    members = np.zeros(len(names), bool)
    members[whose] = inside
    return Target(
        features=prepared.features.view(CLEAN)[torch.from_numpy(np.asarray(part, np.int64))],
        labels=torch.tensor(labels(asked)),
        patients=whose,
        members=members,
    )

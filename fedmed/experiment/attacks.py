"""A run attacked: does its privacy hold, and who was in whose training set?"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from fedmed.data.cohort import Xray, labels, patients
from fedmed.experiment.fit import Fitted
from fedmed.experiment.prepare import Prepared
from fedmed.experiment.settings import Settings
from fedmed.imaging.augmentation import CLEAN
from fedmed.privacy import canaries, membership
from fedmed.privacy.membership import Target
from fedmed.privacy.private_training import PrivateTrainer
from fedmed.report.highlights import displayed_models
from fedmed.training.heads import stack, unstack


def attack(settings: Settings, prepared: Prepared, fitted: Fitted) -> dict[str, Any]:
    """Return the report's `privacy.audit`.

    Members are the patients trained on; the others are those held out for validation. Of a
    hospital's own model, only its own patients are asked for.
    """
    audit: dict[str, Any] = {}
    if fitted.protection.mechanism is not None and prepared.space is not None:
        trainer = PrivateTrainer(fitted.protection.mechanism, prepared.space)
        audit["canaries"] = canaries.audit(trainer, np.random.default_rng(settings.seed))
    everybody = np.arange(len(prepared.training))
    found = _attacked(settings, prepared, fitted, ["central", "federated"], everybody)
    parts = dict(zip(prepared.sites, prepared.parts, strict=True))
    for name in displayed_models(parts):
        found |= _attacked(settings, prepared, fitted, [name], parts[name])
    audit["membership"] = {
        "unit": "patient",
        "shadow_heads": membership.SHADOWS,
        "false_positives": membership.FALSE_POSITIVES,
        "models": found,
    }
    return audit


def _attacked(
    settings: Settings, prepared: Prepared, fitted: Fitted, names: list[str], part: np.ndarray
) -> dict[str, Any]:
    """Attack models by name about the patients of `part`, places among the training X-rays."""
    heads = dict(zip(prepared.sites, unstack(fitted.local), strict=True)) | {
        "central": fitted.central,
        "federated": fitted.federated,
    }
    target = _target(prepared, part)
    shadow, inside = membership.shadows(
        target, settings.epochs, fitted.optimisation, seed=settings.seed
    )
    return membership.attack(stack([heads[name] for name in names]), names, target, shadow, inside)


def _target(prepared: Prepared, part: np.ndarray) -> Target:
    """The patients of `part`, and those held out for validation."""
    others: list[Xray] = list(prepared.validation.xrays)
    members = [prepared.training[place] for place in part]
    features = prepared.features.view(CLEAN)[torch.from_numpy(np.asarray(part, np.int64))]
    names = patients([*members, *others])
    order, whose = np.unique(names, return_inverse=True)
    inside = np.isin(order, patients(members))
    return Target(
        features=torch.cat([features, prepared.validation.features]),
        labels=torch.tensor(labels([*members, *others])),
        patients=whose,
        members=inside,
    )

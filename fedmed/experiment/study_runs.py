"""One run of a study: a federation of one cell and seed, or hospitals alone and what each gives."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fedmed.data.partition import split
from fedmed.errors import UserError
from fedmed.experiment.contribution import contribution
from fedmed.experiment.fit import federation
from fedmed.experiment.plan import Plan
from fedmed.experiment.protection import Protection, private
from fedmed.experiment.settings import Settings
from fedmed.experiment.study_design import Cell
from fedmed.experiment.study_material import Material, read
from fedmed.features.sites import TrainingSite
from fedmed.training.heads import Heads, new_heads, probabilities, stack
from fedmed.training.local_training import train, train_heads
from fedmed.training.optimizer import Optimisation


@dataclass(frozen=True)
class Order:
    """What a process is told to run; `cell` None is what hospitals have alone and give."""

    material: Path
    settings: Settings
    together: Optimisation
    alone: Optimisation
    cell: Cell | None
    seed: int


def run(order: Order, tell: object = None) -> dict[str, Any]:
    """Return the scores of a run, and its seconds; or why it came to none."""
    material, start = read(order.material), time.monotonic()
    try:
        found = _alone(order, material) if order.cell is None else _federated(order, material)
    except UserError as error:
        found = {"failed": str(error).rstrip(".")}
    return found | {"seconds": round(time.monotonic() - start, 3)}


def _federated(order: Order, material: Material) -> dict[str, Any]:
    cell = order.cell
    assert cell is not None
    settings = replace(
        order.settings,
        algorithm=cell.algorithm,
        partition=cell.partition,
        alpha=cell.alpha or order.settings.alpha,
        epsilon=cell.epsilon,
        quantize="none" if cell.format == "fp32" else cell.format,
        poison=cell.poison,
        participation=1.0,
        drop_out=0.0,
        secure_aggregation=False,
        seed=order.seed,
    )
    parts, sites = _deal(settings, material)
    plan = Plan.of(settings, [site.name for site in sites], simulated=material.simulated)
    protection = Protection(sites, train_heads, None, None, cell.format)
    if cell.epsilon is not None:
        protection = private(
            settings,
            material.features,
            material.patients,
            parts,
            material.views,
            material.space,
            None,
        )
    zero = new_heads(1, material.plain.shape[1])
    state = federation(settings, plan, protection, zero, order.together, cell.format)
    sent = [*state.ledger.up, *state.ledger.down]
    return material.scores(Heads.of(state.model)) | {
        "bytes": sum(sum(entry.values()) for entry in sent),
        "rounds": state.round,
    }


def _alone(order: Order, material: Material) -> dict[str, Any]:
    """At the default split: the accuracy of each hospital alone and joined, at its own mix."""
    settings = replace(order.settings, seed=order.seed, participation=1.0, drop_out=0.0)
    _, sites = _deal(settings, material)
    zero = new_heads(1, material.plain.shape[1])
    alone = train(
        stack([zero] * len(sites)),
        sites,
        range(settings.rounds * settings.local_epochs),
        order.alone,
        seed=order.seed,
    )
    plan = Plan.of(
        replace(settings, algorithm="fedavg", poison=None), [s.name for s in sites], simulated=True
    )
    plain = Protection(sites, train_heads, None, None, "fp32")
    joined = federation(settings, plan, plain, zero, order.together, "fp32")
    heads = stack([alone, Heads.of(joined.model)])
    recall, cleared = material.recalls(probabilities(heads, material.plain).numpy())
    shares = [float((site.labels == 1).float().mean()) for site in sites]
    given = contribution(sites, order.together, material.plain, material.truth, seed=order.seed)
    return {
        "hospitals": {
            site.name: {
                "alone": float(share * recall[h] + (1 - share) * cleared[h]),
                "federated": float(share * recall[-1] + (1 - share) * cleared[-1]),
                "contribution": given["hospitals"][site.name] if given else None,
            }
            for h, (site, share) in enumerate(zip(sites, shares, strict=True))
        }
    }


def _deal(settings: Settings, material: Material) -> tuple[list[np.ndarray], list[TrainingSite]]:
    parts = split(
        material.patients,
        material.features.labels.tolist(),
        hospitals=settings.hospitals,
        scheme=settings.partition,
        alpha=settings.alpha,
        seed=settings.seed,
    )
    return parts, [
        TrainingSite(f"hospital_{number}", material.features, part, material.views)
        for number, part in enumerate(parts, start=1)
    ]

"""The yardstick of a run: the exact optimum, and how near everybody comes to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fedmed.data.cohort import labels
from fedmed.evaluation.at_a_glance import at_a_glance
from fedmed.evaluation.evaluation_set import EvaluationSet
from fedmed.experiment.contribution import contribution
from fedmed.experiment.fit import Fitted
from fedmed.experiment.prepare import Prepared
from fedmed.federated.ledger import Ledger
from fedmed.federated.state import State
from fedmed.training.heads import Heads, stack
from fedmed.training.local_training import one_thread
from fedmed.training.logistic import L2, losses, optimum
from fedmed.training.rows import EveryRow, direction_of, head_of
from fedmed.training.tensors import repeat

WITHIN = 0.01  # of the optimum: near enough
METHOD = (
    "logistic regression on all training X-rays in one place, every view, the run's class weights "
    "and an L2 penalty, solved by Newton's method until its gradient is 1e-9; loss and distance "
    "are by that same loss, AUC and balanced accuracy on the validation patients"
)


@one_thread()
def yardstick(
    prepared: Prepared, fitted: Fitted, federation: State, *, seed: int
) -> dict[str, Any]:
    """Return the report's `yardstick`; `federation` is the one that was sent."""
    rows = EveryRow(prepared.everything, fitted.optimisation)
    best = optimum(rows)
    rounds, ledger = Heads.of(federation.models), federation.ledger
    several = stack([Heads.of(repeat(head_of(best), 1)), fitted.central, rounds, fitted.alone])
    directions = direction_of(several.weight, several.bias)
    directions[0] = best
    scored = _scores(several, prepared.validation)
    measured = [
        {"loss": loss, "auc": auc, "balanced_accuracy": balanced, "distance": distance}
        for loss, (auc, balanced), distance in zip(
            losses(directions, rows).tolist(),
            scored,
            (directions - best).norm(dim=1).tolist(),
            strict=True,
        )
    ]
    last = 2 + len(rounds.weight)
    by_round = measured[2:last]
    near_loss = [one["loss"] <= (1 + WITHIN) * measured[0]["loss"] for one in by_round]
    near_auc = [one["auc"] >= (1 - WITHIN) * measured[0]["auc"] for one in by_round]
    return {
        "method": METHOD,
        "l2": L2,
        "optimum": measured[0],
        "central": measured[1],
        "rounds": by_round,
        "alone": dict(zip(prepared.sites, measured[last:], strict=True)),
        "within": {"loss": reached(near_loss, ledger), "auc": reached(near_auc, ledger)},
        "contribution": contribution(
            prepared.hospitals,
            fitted.optimisation,
            prepared.validation.features,
            np.array(labels(prepared.validation.xrays)),
            seed=seed,
        ),
    }


def reached(near: list[bool], ledger: Ledger) -> dict[str, int] | None:
    """Return after how many rounds, and bytes of all hospitals both ways, it was near; or None."""
    if True not in near:
        return None
    rounds = near.index(True) + 1
    sent = [*ledger.up[:rounds], *ledger.down[:rounds]]
    return {"rounds": rounds, "bytes": sum(sum(entry.values()) for entry in sent)}


def gains(
    protocol: Mapping[str, Any],
    alone: Mapping[str, Any],
    partition: Mapping[str, Any],
    *,
    personal: bool = False,
) -> dict[str, Any]:
    """Return what each hospital gains by the federated model, in accuracy on validation patients.

    Weighted as its own patients are mixed, and (`everybody`) both classes the same. Nobody's own
    patients are held out for it alone; what differs between hospitals here is the mix of classes.
    `personal` tells that the protocol's models of hospitals are the federated one made their own.
    """
    federated = protocol["models"]["federated"]
    found = {}
    for hospital in partition["hospitals"]:
        images, scores = hospital["images"], alone[hospital["name"]]
        share = images["PNEUMONIA"] / max(1, sum(images.values()))

        def mixed(scores: Mapping[str, Any], share: float = share) -> float:
            recall, cleared = scores["recall"]["value"], scores["specificity"]["value"]
            return float(share * recall + (1 - share) * cleared)

        models = {"alone": scores, "federated": federated}
        if personal:
            models["personal"] = protocol["models"][hospital["name"]]
        found[hospital["name"]] = {
            "own_mix": {name: mixed(of) for name, of in models.items()},
            "everybody": {name: of["balanced_accuracy"]["value"] for name, of in models.items()},
        }
    return found


def _scores(heads: Heads, validation: EvaluationSet) -> list[tuple[float, float]]:
    """Return the AUC and balanced accuracy, at 0.5, of each head."""
    truth = np.array(labels(validation.xrays))
    return at_a_glance(validation.probabilities(heads), truth)

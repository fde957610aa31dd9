"""Heads of each hospital's own, made of the federated one: by tuning it, or held near it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fedmed.experiment.settings import Settings
from fedmed.federated.algorithms.fedprox import Pull
from fedmed.training.heads import Heads, stack
from fedmed.training.local_training import Site, train
from fedmed.training.optimizer import Optimisation
from fedmed.training.tensors import pick

NEAR = 0.1  # Ditto's lambda


def personalise(
    settings: Settings, federated: Heads, sites: Sequence[Site], optimisation: Optimisation
) -> Heads:
    """Return a head for each site, trained from the federated one (H = 1) on its own X-rays.

    `finetune` goes on as long as the central model trains: Wang, Mathews, Kiddon, Eichner,
    Beaufays, Ramage: Federated Evaluation of On-device Personalization, 2019, arXiv:1910.10252.
    `ditto` goes on as long as a hospital alone, its loss plus half of NEAR times the squared
    distance from the federated head: Li, Hu, Beirami, Smith: Ditto: Fair and Robust Federated
    Learning Through Personalization, ICML 2021, arXiv:2012.04221, equation 1, at the last global
    head.
    """
    pull = Pull(NEAR, pick(federated.tensors(), 0)) if settings.personalise == "ditto" else None
    return train(
        stack([federated] * len(sites)),
        sites,
        range(_epochs(settings)),
        optimisation,
        seed=settings.seed,
        gradient=pull,
    )


def report(settings: Settings) -> dict[str, Any]:
    """Return the report's `personalised`; `words` completes: a hospital's model is ..."""
    epochs = f"{_epochs(settings):,} epochs on its own X-rays"
    words = {
        "finetune": f"the federated one, trained for {epochs}",
        "ditto": f"the federated one, trained for {epochs} and held near it",
    }
    kind = str(settings.personalise)
    held = {"lambda": NEAR} if kind == "ditto" else {}
    return {"kind": kind, "words": words[kind], "epochs": _epochs(settings), **held}


def _epochs(settings: Settings) -> int:
    if settings.personalise == "ditto":
        return settings.rounds * settings.local_epochs
    return settings.epochs

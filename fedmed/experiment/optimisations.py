"""How a run trains: together, and at a hospital alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fedmed.data.cohort import labels
from fedmed.experiment.deal import Dealt
from fedmed.experiment.settings import Settings
from fedmed.training.optimizer import Optimisation
from fedmed.training.recipe import Recipe


def optimisations(
    settings: Settings, dealt: Dealt, recipe: Recipe, *, weight_decay: float = 0.0
) -> tuple[Optimisation, Optimisation]:
    """Return that of central and federated training, and that of a hospital alone.

    Together the classes weigh the same for everybody, for hospitals report how many X-rays of each
    they have. Alone, a hospital knows nobody's counts but its own.
    """
    normal, pneumonia = np.bincount(labels(dealt.training), minlength=2).tolist()
    together = Optimisation(
        learning_rate=settings.learning_rate,
        batch_size=settings.batch_size,
        class_weights=recipe.class_weights(normal, pneumonia),
        weight_decay=weight_decay,
    )
    return together, replace(together, class_weights=None) if recipe.balanced else together

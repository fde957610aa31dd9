"""The second step of a run: heads trained centrally, federated, and at each hospital alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from fedmed.data.cohort import labels
from fedmed.experiment.prepare import Prepared
from fedmed.experiment.protection import Protection, protect, unprotected_sites
from fedmed.experiment.settings import Settings
from fedmed.experiment.timing import Stopwatch
from fedmed.federated.algorithms import ALGORITHMS
from fedmed.federated.rounds import federate
from fedmed.federated.state import State
from fedmed.federated.transforms import FORMATS
from fedmed.training.heads import Heads, new_heads, stack
from fedmed.training.local_training import train
from fedmed.training.optimizer import Optimisation
from fedmed.training.tensors import pick


@dataclass(frozen=True)
class Fitted:
    """Every head of a run."""

    central: Heads  # H = 1
    federated: Heads  # H = 1
    local: Heads  # each hospital's own, after its training in the last round
    alone: Heads  # each hospital's, trained as long without the others
    federations: Mapping[str, State]  # by update format
    protection: Protection
    unprotected: Heads | None  # of a private run, what FedAvg without privacy gives: H = 1


def fit(settings: Settings, prepared: Prepared, watch: Stopwatch) -> Fitted:
    """Train all heads on cached features. The federation runs once with each update format.

    A protected one runs once only, and a private one a second time without privacy, to compare.

    Raises:
        UserError: training diverged.
    """
    # The classes weigh the same for everybody: hospitals report how many X-rays of each they have.
    normal, pneumonia = np.bincount(labels(prepared.training), minlength=2).tolist()
    optimisation = Optimisation(
        learning_rate=settings.learning_rate,
        batch_size=settings.batch_size,
        class_weights=prepared.recipe.class_weights(normal, pneumonia),
    )
    zero = new_heads(1, prepared.validation.features.shape[1])
    central = train(
        zero, [prepared.everything], range(settings.epochs), optimisation, seed=settings.seed
    )
    watch.lap("central")

    algorithm = ALGORITHMS[settings.algorithm]()
    protection = protect(settings, prepared)

    def federation(protection: Protection, format: str) -> State:
        return federate(
            protection.sites,
            algorithm=algorithm,
            model=pick(zero.tensors(), 0),
            rounds=settings.rounds,
            local_epochs=settings.local_epochs,
            optimisation=optimisation,
            channel=protection.channel(format),
            trainer=protection.trainer,
            seed=settings.seed,
            state=prepared.state.federation(format),
            on_round=prepared.state.keeper(format),
        )

    formats = [settings.format] if protection.left_out else list(FORMATS)
    federations = {format: federation(protection, format) for format in formats}
    unprotected = None
    if protection.mechanism is not None:
        plain = federation(unprotected_sites(prepared), "unprotected")
        unprotected = Heads.of(plain.model)
    sent = federations[settings.format]
    watch.lap("federated")

    # Alone, a hospital knows nobody's counts but its own.
    of_its_own = replace(optimisation, class_weights=None)
    alone = train(
        stack([zero] * settings.hospitals),
        prepared.hospitals,
        range(settings.rounds * settings.local_epochs),
        of_its_own if prepared.recipe.balanced else optimisation,
        seed=settings.seed,
    )
    watch.lap("local_only")
    return Fitted(
        central=central,
        federated=Heads.of(sent.model),
        local=Heads.of(algorithm.model(sent.own)),
        alone=alone,
        federations=federations,
        protection=protection,
        unprotected=unprotected,
    )

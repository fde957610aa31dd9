"""How a run between machines protects patients and hospitals: from its terms, on both sides alike.

A hospital makes its noise itself, by the terms that it agreed to. The scale of noise follows from
epsilon, delta and the number of steps alone. How many patients and hospitals there are, which the
coordinator tells, decides how long a step is: how useful a run is, not how private.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fedmed.backbones.backbone import Backbone
from fedmed.backbones.engine import pick_to_train
from fedmed.experiment.protection import Protection, by_noise
from fedmed.features.cache import FeatureCache
from fedmed.features.extract import Source, extract_all
from fedmed.flower.terms import Terms
from fedmed.privacy import public_centre
from fedmed.privacy.masks import Keys
from fedmed.privacy.rows import Space
from fedmed.training.local_training import Site, train_heads

MOST = 10_000_000  # patients that a private run may have
NO_PRIVACY = "none: the coordinator sees every hospital's updates as they are"


class Public(NamedTuple):
    """What a private run takes as known to everybody, told once, before its first round."""

    patients: int  # of all hospitals that are there at the start
    hospitals: int


def protection(
    terms: Terms,
    sites: Sequence[Site],
    public: Public | None = None,
    space: Space | None = None,
    keys: Keys | None = None,
) -> Protection:
    """Return how `sites`, of which each row is a patient where the run is private, are protected.

    A private run needs `space`, and unless it is of class means, `public`.
    """
    sent = "masked" if keys else terms.format
    if not terms.epsilon:
        return Protection(sites, train_heads, None, keys, sent)
    assert space is not None and (public or terms.algorithm == "class-means")
    return by_noise(terms, sites, space, sent, public=public, keys=keys)


def public_space(backbone: Backbone, cache: Path) -> Space:
    """Return where patients' rows lie: around simulated X-rays, whose features are of nobody.

    They are drawn and passed through the backbone here, the first time, and kept in `cache`: nobody
    tells them to anybody.
    """
    learner = backbone.on(pick_to_train())
    features = FeatureCache(learner, cache)
    extract_all([([public_centre.wanted()], Source(learner, features))])
    return public_centre.space(features)


def words(terms: Terms) -> str:
    """What the record says of a run's privacy."""
    told = []
    if terms.epsilon:
        told.append(
            "every hospital adds noise of its own before it sends: for each of its patients, all "
            f"its updates of the run together are ({terms.epsilon:g}, {terms.delta:g})-"
            "differentially private, and so are its counts for each of those held out; how many "
            "patients it trains on is told as it is"
        )
    if terms.secure_aggregation:
        told.append(
            "masks hide every hospital's update: the coordinator, as long as it keeps to the "
            "protocol, gets their weighted mean alone"
        )
    return "; ".join(told) or NO_PRIVACY

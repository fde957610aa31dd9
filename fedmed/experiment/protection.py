"""How a run's federation protects patients and hospitals: noise, masks, both or neither."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from fedmed.data.cohort import patients
from fedmed.experiment.prepare import Prepared
from fedmed.experiment.settings import Settings
from fedmed.features.sites import Features
from fedmed.federated.algorithm import Algorithm, Trainer
from fedmed.federated.attendance import Attendance
from fedmed.federated.channel import Channel
from fedmed.federated.transforms import FORMATS
from fedmed.privacy import statement
from fedmed.privacy.masks import Keys
from fedmed.privacy.mechanism import Mechanism
from fedmed.privacy.outbox import Outbox
from fedmed.privacy.private_means import PrivateClassMeans
from fedmed.privacy.private_training import PrivateTrainer
from fedmed.privacy.rows import Space, patient_sites
from fedmed.privacy.secure_aggregation import (
    SecureAggregation,
    check_attendance,
    check_count,
)
from fedmed.training.local_training import Site, train_heads
from fedmed.training.optimizer import Optimisation


@dataclass(frozen=True)
class Protection:
    """What a protected federation trains on, how, and through what its messages go."""

    sites: Sequence[Site]
    trainer: Trainer
    mechanism: Mechanism | None  # of a private run
    keys: Keys | None  # of secure aggregation
    sent: str  # the format of its messages
    means: PrivateClassMeans | None = None  # in place of the run's own

    def fit(self, algorithm: Algorithm) -> Algorithm:
        """Return the run's algorithm as it is where it is protected."""
        if isinstance(self.trainer, PrivateTrainer):
            return self.trainer.fit(algorithm)
        return self.means or algorithm

    def wrap(self, channel: Channel) -> Channel:
        """Return a channel whose messages up are masked, where they are."""
        if self.keys is None:
            return channel
        return replace(channel, up=(*channel.up, SecureAggregation(self.keys)))

    def optimisation(self, together: Optimisation) -> Optimisation:
        """How hospitals train: privately, no class weighs more, for nobody tells their counts."""
        if isinstance(self.trainer, PrivateTrainer):
            return self.trainer.optimisation(together)
        return together if self.mechanism is None else replace(together, class_weights=(1.0, 1.0))

    @property
    def left_out(self) -> dict[str, str]:
        """Why the federation is not run again in other formats, to compare; by format."""
        if self.keys is not None:
            reason = "it would show the server what secure aggregation hides"
        elif self.mechanism is not None:
            reason = "one more federation would spend its epsilon on the same patients again"
        else:
            return {}
        return {format: reason for format in FORMATS if format != self.sent}

    def report(self) -> dict[str, Any]:
        """The report's `privacy`; empty where nothing is protected."""
        fields: dict[str, Any] = {}
        if self.mechanism is not None:
            counts = {site.name: len(site.labels) for site in self.sites}
            fields["differential"] = statement.guarantee(self.mechanism, counts)
        if self.keys is not None:
            fields["secure_aggregation"] = statement.secure_sums(len(self.sites))
        return fields


def unprotected_sites(prepared: Prepared) -> Protection:
    """Return no protection: the federation as it would be without."""
    return Protection(prepared.hospitals, train_heads, None, None, "fp32")


def protect(settings: Settings, prepared: Prepared, outbox: Outbox | None) -> Protection:
    """Return how the run's federation is protected; what it sends is kept in `outbox`.

    Raises:
        UserError: there are too few or too many hospitals for secure aggregation.
    """
    protection = unprotected_sites(prepared)
    if settings.epsilon is not None and prepared.space is not None:
        protection = private(
            settings,
            prepared.features,
            patients(prepared.training),
            prepared.parts,
            prepared.views,
            prepared.space,
            outbox,
        )
    sites, keys = protection.sites, None
    if settings.secure_aggregation:
        check_count(len(sites))
        attendance = Attendance(settings.participation, settings.drop_out)
        check_attendance(attendance, len(sites), settings.rounds, settings.seed)
        keys = Keys.draw([site.name for site in sites])
    return replace(protection, keys=keys, sent=settings.format)


def private(
    settings: Settings,
    features: Features,
    patients: Sequence[str],
    parts: Sequence[np.ndarray],
    views: Sequence[Any],
    space: Space,
    outbox: Outbox | None,
) -> Protection:
    """Return the protection of patients that `settings.epsilon`, which is given, asks for.

    `patients` names the patient of each image, [n]; `parts` are the hospitals' places among them.
    """
    sites = patient_sites(features, patients, parts, views)
    return by_noise(settings, sites, space, settings.format, outbox=outbox)


class Asked(Protocol):
    """What a private run's options say, wherever it runs."""

    @property
    def algorithm(self) -> str: ...
    @property
    def epsilon(self) -> float | None: ...
    @property
    def delta(self) -> float: ...
    @property
    def rounds(self) -> int: ...
    @property
    def local_epochs(self) -> int: ...


def by_noise(
    asked: Asked,
    sites: Sequence[Site],
    space: Space,
    sent: str,
    *,
    public: tuple[int, int] | None = None,
    outbox: Outbox | None = None,
    keys: Keys | None = None,
) -> Protection:
    """Return the protection of sites of one row a patient, whose `asked.epsilon` is given.

    `public` is how many patients and hospitals there are in all, if not those of `sites`.
    """
    assert asked.epsilon
    if asked.algorithm == "class-means":
        mechanism = Mechanism.of_means(asked.epsilon, asked.delta)
        means = PrivateClassMeans(mechanism, space, outbox)
        return Protection(sites, train_heads, mechanism, keys, sent, means)
    patients, hospitals = public or (sum(len(site.labels) for site in sites), len(sites))
    mechanism = Mechanism.of(
        asked.epsilon,
        asked.delta,
        asked.rounds * asked.local_epochs,
        patients=patients,
        hospitals=hospitals,
    )
    return Protection(sites, PrivateTrainer(mechanism, space, outbox), mechanism, keys, sent)

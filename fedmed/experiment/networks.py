"""A run that trains whole networks, in the same four steps."""

from __future__ import annotations

from fedmed.experiment.fit_network import fit_network
from fedmed.experiment.prepare_network import prepare_network
from fedmed.experiment.save_network import save_network
from fedmed.experiment.score_network import score_network
from fedmed.experiment.settings import Settings
from fedmed.experiment.timing import Stopwatch
from fedmed.progress import step
from fedmed.report.schema import Report


def train_networks(settings: Settings, watch: Stopwatch) -> Report:
    """Train, score and write a snapshot of networks; returns its report.

    Raises:
        UserError: as the steps do.
        OSError: a disk is full or cannot be written.
    """
    prepared = prepare_network(settings, watch)
    fitted = fit_network(settings, prepared, watch)
    with step("Scoring every network"):
        scored = score_network(settings, prepared, fitted, watch)
    with step("Writing the snapshot"):
        save_network(settings, prepared, fitted, scored)
    return scored.report

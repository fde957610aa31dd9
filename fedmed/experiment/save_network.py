"""The last step of a run that trains networks: a snapshot of them all, opened, moved in place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from fedmed.experiment import reference
from fedmed.experiment.ask_networks import backbone_of
from fedmed.experiment.fit_network import FittedNetworks
from fedmed.experiment.prepare_network import PreparedNetwork, measured
from fedmed.experiment.save import put_in_place, write_examples
from fedmed.experiment.score_network import ScoredNetworks
from fedmed.experiment.settings import Settings
from fedmed.features.cache import FeatureCache
from fedmed.features.extract import features_of
from fedmed.imaging.augmentation import CLEAN, View
from fedmed.inference.out_of_distribution import sample
from fedmed.report.card import model_card
from fedmed.snapshot import manifest
from fedmed.snapshot.networks import BASE, config_entries, write_networks
from fedmed.training.network_trainer import read_network


def save_network(
    settings: Settings,
    prepared: PreparedNetwork,
    fitted: FittedNetworks,
    scored: ScoredNetworks,
) -> None:
    """Write the snapshot to `settings.output`, whole, in place of the one before.

    Raises:
        UserError: the app would refuse it, or it cannot be put there.
        OSError: a disk is full or cannot be written.
    """
    folder = prepared.state.aside()
    networks, size = scored.networks, prepared.regime.size
    origin = prepared.backbone.origin | {"trained_on": prepared.cohort.about["title"]}
    trained = {name: read_network(path) for name, path in fitted.shipped().items()}
    files = write_networks(folder, trained, origin, size)
    del trained
    write_examples(settings, prepared, scored.test, scored.alone, scored.federated, folder)
    _write_reference(settings, prepared, scored, folder)
    put_in_place(
        folder,
        settings.output,
        scored.report,
        config_entries(networks, origin, size)
        | {"models": manifest.model_entries(list(networks), scored.report, files)}
        | {"seed": settings.seed},
        lambda config: model_card(scored.report, config, settings.push_to),
    )
    prepared.state.finish()


def _write_reference(
    settings: Settings, prepared: PreparedNetwork, scored: ScoredNetworks, folder: Path
) -> None:
    """Keep what training images look like to the federated network, clean and as it trained."""
    backbone = backbone_of(dict(scored.networks[BASE]), prepared)
    read, trained, held_out = prepared.read, len(prepared.training), len(prepared.held_out)
    training = [*sample(range(trained))]
    validation = [*sample(range(trained, trained + held_out))]
    degraded = View(prepared.regime.view, 0, settings.seed)

    def features(view: View, rows: Sequence[int]) -> torch.Tensor:
        digests = [read[row].digest for row in rows]
        return torch.from_numpy(features_of(view, prepared.pixels[rows], digests, backbone))

    reference.write(
        folder,
        features=[features(view, training) for view in (CLEAN, degraded)],
        held_out_features=features(CLEAN, validation),
        measured=measured(prepared.pixels[training]),
        held_out_measured=measured(prepared.pixels[validation]),
        cache=FeatureCache(backbone),
        backbone=backbone,
        images=trained,
        is_simulated=prepared.cohort.simulated,
    )

"""The last step of a run that trains networks: a snapshot of them all, opened, moved in place."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import torch

from fedmed.data.cohort import labels
from fedmed.experiment import reference
from fedmed.experiment.fit_network import FittedNetworks
from fedmed.experiment.prepare_network import PreparedNetwork
from fedmed.experiment.score_network import ScoredNetworks, backbone_of
from fedmed.experiment.settings import Settings
from fedmed.features.extract import BATCH, features_of
from fedmed.imaging.augmentation import CLEAN, View
from fedmed.imaging.preprocessing import PREPROCESSING
from fedmed.inference import loading
from fedmed.inference.out_of_distribution import sample
from fedmed.parallel import on_all_cores
from fedmed.report import document
from fedmed.report.card import model_card
from fedmed.report.sections import versions
from fedmed.snapshot import examples, manifest
from fedmed.snapshot.networks import BASE, config_entries, write_networks
from fedmed.snapshot.replace import move_into_place
from fedmed.task import CLASSES
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
    _write_examples(settings, prepared, scored)
    _write_reference(settings, prepared, scored)
    document.write(scored.report, folder / manifest.REPORT)
    config = manifest.seal(
        folder,
        {
            "classes": list(CLASSES),
            "preprocessing": PREPROCESSING,
            **config_entries(networks, origin, size),
            "models": manifest.model_entries(list(networks), scored.report, files),
            "versions": versions(),
            "seed": settings.seed,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )
    card = model_card(scored.report, config, settings.push_to)
    (folder / manifest.CARD).write_text(card, encoding="utf-8")
    loading.check(folder)
    move_into_place(folder, settings.output)
    prepared.state.finish()


def _write_examples(settings: Settings, prepared: PreparedNetwork, scored: ScoredNetworks) -> None:
    """Put X-rays to click into the snapshot: of the test split, some that divide the hospitals."""
    predicted = scored.test.probabilities(scored.alone) >= 0.5
    chosen = examples.choose(predicted, labels(prepared.cohort.test), settings.examples)
    folder = prepared.state.folder / "snapshot" / "examples"
    examples.write(folder, prepared.cohort, chosen)


def _write_reference(settings: Settings, prepared: PreparedNetwork, scored: ScoredNetworks) -> None:
    """Keep what training images look like to the federated network, clean and as it trained."""
    backbone = backbone_of(dict(scored.networks[BASE]), prepared)
    backbone = backbone.shared_by(torch.get_num_threads())
    trained, held_out = len(prepared.training), len(prepared.held_out)
    training = sample(range(trained))
    validation = sample(range(trained, trained + held_out))
    degraded = View(prepared.regime.view, 0, settings.seed)

    def features(view: View, rows: Sequence[int]) -> torch.Tensor:
        batches = [rows[first : first + BATCH] for first in range(0, len(rows), BATCH)]

        def passed(batch: Sequence[int]) -> np.ndarray:
            digests = [prepared.read[row].digest for row in batch]
            return features_of(view, prepared.pixels[list(batch)], digests, backbone)

        return torch.from_numpy(np.concatenate(list(on_all_cores(passed, batches))))

    reference.write(
        prepared.state.folder / "snapshot",
        features=[features(view, training) for view in (CLEAN, degraded)],
        held_out_features=features(CLEAN, validation),
        pixels=prepared.pixels[training],
        held_out_pixels=prepared.pixels[validation],
        backbone=backbone,
        images=trained,
        is_simulated=prepared.cohort.simulated,
    )

"""The last step of a run: a snapshot put together aside, opened as the app will, moved in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fedmed.backbones.weights import write_state
from fedmed.data.cohort import labels
from fedmed.evaluation.evaluation_set import EvaluationSet
from fedmed.experiment import reference, sums
from fedmed.experiment.deal import Dealt
from fedmed.experiment.fit import Fitted
from fedmed.experiment.prepare import Prepared
from fedmed.experiment.settings import Settings
from fedmed.federated.algorithms.closed_form import ClosedForm
from fedmed.imaging.preprocessing import PREPROCESSING
from fedmed.inference import loading
from fedmed.inference.out_of_distribution import sample
from fedmed.progress import say
from fedmed.report import document
from fedmed.report.card import model_card
from fedmed.report.schema import Config, Report
from fedmed.report.sections import versions
from fedmed.snapshot import examples, lab_features, manifest
from fedmed.snapshot.reader import write_head
from fedmed.snapshot.replace import move_into_place
from fedmed.task import CLASSES
from fedmed.training.heads import Heads, stack, unstack


def save(settings: Settings, prepared: Prepared, fitted: Fitted, report: Report) -> None:
    """Write the snapshot to `settings.output`, whole, in place of the one before.

    Raises:
        UserError: the app would refuse it, or it cannot be put there.
        OSError: a disk is full or cannot be written.
    """
    folder = prepared.state.aside()
    stored = write_state(prepared.backbone.state, prepared.backbone.origin, folder)
    names = ["central", "federated", *prepared.sites]
    models = stack([fitted.central, fitted.federated, fitted.local])
    for name, head in zip(names, unstack(models), strict=True):
        write_head(folder / manifest.model_file(name), head, prepared.backbone)
    write_examples(settings, prepared, prepared.test, fitted.local, fitted.federated, folder)
    _write_reference(prepared, folder)
    algorithm = fitted.plan.algorithm
    if settings.keep_sums and isinstance(algorithm, ClosedForm):
        sums.write(sums.gather(algorithm, prepared.hospitals), folder)
    if settings.lab:
        write_lab(prepared, folder)
    put_in_place(
        folder,
        settings.output,
        report,
        {
            "backbone": prepared.backbone.origin
            | {"sha256": prepared.backbone.sha256, "files": [path.name for path in stored]},
            "models": manifest.model_entries(names, report),
            "engine": prepared.engine,
            "seed": settings.seed,
        },
        lambda config: model_card(report, config, settings.push_to),
    )
    prepared.state.finish()
    prepared.cache.prune()


def put_in_place(
    folder: Path,
    output: Path,
    report: Mapping[str, Any],
    entries: Mapping[str, Any],
    card: Callable[[Config], str],
) -> None:
    """Seal what was put together in `folder`, open it as the app will, and move it to `output`.

    `entries` of config.json say what the models are; `card` makes the model card of it all.

    Raises:
        UserError: the app would refuse it, or it cannot be put there.
    """
    document.write(report, folder / manifest.REPORT)
    config = manifest.seal(
        folder,
        {
            "classes": list(CLASSES),
            "preprocessing": PREPROCESSING,
            **entries,
            "versions": versions(),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )
    (folder / manifest.CARD).write_text(card(config), encoding="utf-8")
    loading.check(folder)
    move_into_place(folder, output)


def write_examples(
    settings: Settings,
    dealt: Dealt,
    test: EvaluationSet,
    hospitals: Heads,
    federated: Heads,
    folder: Path,
) -> None:
    """Put X-rays to click into the snapshot: of the test split, some that divide the hospitals."""
    predicted = test.probabilities(hospitals) >= 0.5
    together = test.probabilities(federated)[0] >= 0.5
    chosen = examples.choose(
        examples.telling(predicted), labels(dealt.cohort.test), settings.examples, together
    )
    examples.write(folder / "examples", dealt.cohort, chosen)


def write_lab(prepared: Prepared, folder: Path) -> None:
    """Keep features to federate on in the browser, after a warning where they are somebody's.

    Of every training X-ray the first two different views, of those held out the clean one.
    """
    cohort, space = prepared.cohort, prepared.space
    if space is None:
        raise ValueError("the run was prepared without --lab")
    if not (cohort.simulated or cohort.public):
        say(
            "--lab: features are data. Whoever gets this snapshot can compute with these patients' "
            "features, and tell for a picture at hand whether it is among them."
        )
    lab_features.write(
        folder,
        views=[prepared.features.view(view) for view in dict.fromkeys(prepared.views)],
        training=prepared.training,
        features=prepared.validation.features,
        held_out=prepared.held_out,
        centre=space.centre,
        radius=space.radius,
        backbone=prepared.backbone.origin | {"sha256": prepared.backbone.sha256},
        source=f"{cohort.about['title']}; {cohort.about['licence']}",
    )


def _write_reference(prepared: Prepared, folder: Path) -> None:
    """Keep what training images look like, to warn about pictures that look otherwise."""
    rows = [*sample(range(len(prepared.training)))]
    reference.write(
        folder,
        features=[prepared.features.view(view)[rows] for view in prepared.views[:2]],
        held_out_features=prepared.validation.features,
        measured=prepared.measured,
        held_out_measured=prepared.held_out_measured,
        cache=prepared.cache,
        backbone=prepared.backbone,
        images=len(prepared.training),
        is_simulated=prepared.cohort.simulated,
    )

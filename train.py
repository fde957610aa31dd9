"""Train a pneumonia classifier centrally and federated, measure both, write a snapshot.

The whole story in the order it happens: X-rays -> patients held out -> hospitals -> features of a
frozen backbone -> heads (central, federated, each hospital alone) -> scores -> a snapshot -> the
Hub. `python train.py --help` lists the options.
"""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import datetime, timezone

import numpy as np
import torch

from fedmed import cli, data, examples, hub, outliers, report, snapshot, source, swapped_validation
from fedmed.backbone import load as load_backbone
from fedmed.backbone import write_state
from fedmed.card import model_card
from fedmed.data.audit import audit
from fedmed.data.cohort import count, labels, patients
from fedmed.data.holdout import description, hold_out
from fedmed.data.public_cohort import public_patients
from fedmed.facts import CLASSES
from fedmed.feature_cache import FeatureCache
from fedmed.features import Features, TrainingSite, decode_all, extract, pick_device
from fedmed.federation import FedAvg, federate
from fedmed.partition import describe, split
from fedmed.preprocessing import CLEAN, PREPROCESSING
from fedmed.recipe import pick_recipe
from fedmed.run_state import RunState
from fedmed.scoring import Protocol, communication, model_entries, rounds, versions
from fedmed.settings import Settings, parse
from fedmed.snapshot_place import check_output, claim, move_into_place
from fedmed.stopwatch import Stopwatch
from fedmed.swapped_validation import SwappedValidation
from fedmed.training import Optimisation, new_heads, stack, train, unstack
from fedmed.transport import FORMATS


def main(settings: Settings) -> None:
    watch = Stopwatch()
    if settings.push_to:
        hub.check_access(settings.push_to, private=settings.private)
    backbone = load_backbone(settings.backbone).to(pick_device(settings.device))
    recipe = pick_recipe(settings.recipe, backbone)

    # X-rays in. Patients who trained the backbone belong to no hospital and no validation set.
    cohort = data.load(settings.data)
    public = public_patients() if backbone.public_cohort else frozenset()
    theirs = [xray for xray in cohort.train if xray.patient in public]
    ours = [xray for xray in cohort.train if xray.patient not in public]
    training, validation = hold_out(ours, seed=settings.seed)
    facts = audit(cohort) | {
        "public_cohort": count(theirs) if theirs else None,
        "held_out": count(validation),
        "training": count(training),
    }
    parts = split(
        patients(training),
        labels(training),
        hospitals=settings.hospitals,
        scheme=settings.partition,
        alpha=settings.alpha,
        seed=settings.seed,
    )
    state = RunState(settings, backbone.sha256, cohort.images, backbone.engine.id)
    watch.lap("data")

    # Each image and augmented view goes through the frozen backbone once; heads see features.
    views = recipe.views(settings.views, settings.seed)
    cache = FeatureCache(backbone)
    wanted = [
        (training, views),
        (validation, [CLEAN]),
        *swapped_validation.wanted(validation),
        (cohort.test, [CLEAN]),
    ]
    passes = extract(wanted, backbone, cache)
    state.begin()
    features = Features(training, cache)
    everything = TrainingSite("central", features, np.arange(len(training)), views)
    hospitals = [
        TrainingSite(f"hospital_{number}", features, part, views)
        for number, part in enumerate(parts, start=1)
    ]
    # Read before the training: what lies idle for an hour, another run may drop from the cache.
    unseen = [Features(xrays, cache).view(CLEAN) for xrays in (validation, cohort.test)]
    shifted = SwappedValidation.read(validation, cache)
    watch.lap("features")

    # The classes weigh the same for everybody: hospitals report how many X-rays of each they have.
    counts = np.bincount(labels(training), minlength=2)
    optimisation = Optimisation(
        learning_rate=settings.learning_rate,
        batch_size=settings.batch_size,
        class_weights=recipe.class_weights(int(counts[0]), int(counts[1])),
    )
    central = train(
        new_heads(1), [everything], range(settings.epochs), optimisation, seed=settings.seed
    )
    watch.lap("central")

    # The same federation with each wire format; the one asked for is what the snapshot keeps.
    federations = {
        wire: federate(
            hospitals,
            algorithm=FedAvg(),
            rounds=settings.rounds,
            local_epochs=settings.local_epochs,
            settings=optimisation,
            format=wire,
            seed=settings.seed,
            state=state.federation(wire),
            on_round=state.keeper(wire),
        )
        for wire in FORMATS
    }
    federated = federations[settings.format]
    watch.lap("federated")
    # Alone, a hospital knows nobody's counts but its own.
    alone = train(
        new_heads(settings.hospitals),
        hospitals,
        range(settings.rounds * settings.local_epochs),
        replace(optimisation, class_weights=None) if recipe.balanced else optimisation,
        seed=settings.seed,
    )
    watch.lap("local_only")

    # One evaluator for all. Nothing was chosen on the official test split; `shifted` is the
    # validation patients with what tells the classes apart by framing swapped.
    held_out = Protocol(description(cohort.patients_known), validation, unseen[0])
    official = Protocol("the official test split, scored once", cohort.test, unseen[1])
    protocols = {"validation": held_out, "test": official}
    all_protocols: dict[str, Protocol | SwappedValidation]
    all_protocols = {"validation": held_out, "shifted": shifted, "test": official}
    models = stack([central, federated.global_head, federated.local])
    sites = [site.name for site in hospitals]
    names = ["central", "federated", *sites]
    results = report.build(
        protocols={key: p.report(models, names) for key, p in all_protocols.items()},
        comparison={key: p.compare(federated.global_head, central) for key, p in protocols.items()},
        rounds=rounds(federated, held_out),
        communication=communication(federations, settings.format, backbone, protocols),
        partition=describe(
            parts,
            patients(training),
            labels(training),
            scheme=settings.partition,
            alpha=settings.alpha,
            seed=settings.seed,
        ),
        local_only={key: p.score(alone, sites) for key, p in all_protocols.items()},
        data=facts,
        recipe=settings.of_the_run() | {"name": recipe.name, "description": recipe.description},
        timing=watch.report() | {"backbone_passes": passes},
        environment=versions() | {"engine": backbone.engine.title},
    )

    # The snapshot is put together aside, opened as the app will, and moved into place whole.
    aside = state.aside()
    stored = write_state(backbone, aside)
    for name, head in zip(names, unstack(models), strict=True):
        snapshot.write_head(aside / snapshot.model_file(name), head, backbone)
    verdicts = official.probabilities(federated.local) >= 0.5
    chosen = examples.choose(verdicts, labels(cohort.test), settings.examples)
    examples.write(aside / "examples", cohort, chosen)
    seen, kept = (decode_all(outliers.sample(xrays)) for xrays in (training, validation))
    trained_on = torch.cat([features.view(view) for view in views[:2]])
    typical = outliers.fit(trained_on, held_out.features, seen, kept)
    outliers.save(typical, aside)
    report.write(results, aside / snapshot.REPORT)
    config = snapshot.seal(
        aside,
        {
            "classes": list(CLASSES),
            "preprocessing": PREPROCESSING,
            "backbone": backbone.origin
            | {"sha256": backbone.sha256, "files": [path.name for path in stored]},
            "models": model_entries(names, results),
            "versions": versions(),
            "seed": settings.seed,
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        },
    )
    card = model_card(results, config, settings.push_to)
    (aside / snapshot.CARD).write_text(card, encoding="utf-8")
    source.check(aside)
    move_into_place(aside, settings.output)
    state.finish()
    cache.prune()
    print(report.table(results))
    where = shlex.quote(str(settings.output))
    print(f"\nSnapshot in {settings.output}. To look at it: FEDMED_SNAPSHOT={where} python app.py")


def alone(settings: Settings) -> None:
    """Train while no other run writes to the same output."""
    check_output(settings.output)
    with claim(settings.output):
        main(settings)


def publish(settings: Settings, repo: str) -> None:
    print(f"Published: {hub.publish(settings.output, repo, private=settings.private)}")


def run(settings: Settings) -> int:
    """Train and, where asked, publish. Returns the exit status."""
    status = cli.run(
        lambda: alone(settings), resume_hint="The same command with --resume goes on from here."
    )
    repo = settings.push_to
    if status or not repo:
        return status
    private = ["--private"] if settings.private else []
    later = shlex.join(["python", "-m", "fedmed.push", str(settings.output), repo, *private])
    return cli.run(
        lambda: publish(settings, repo),
        resume_hint=f"The snapshot is kept. To publish it: {later}",
    )


if __name__ == "__main__":
    raise SystemExit(run(parse()))

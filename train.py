"""Train a pneumonia classifier centrally and federated, measure both, write a snapshot.

The whole story in the order it happens: X-rays -> patients held out -> hospitals -> features of a
frozen backbone -> heads (central, federated, each hospital alone) -> scores -> a snapshot -> the
Hub. `python train.py --help` lists the options.
"""

from __future__ import annotations

import shlex
from datetime import datetime, timezone

import numpy as np
import torch

from fedmed import cli, data
from fedmed.backbones.backbone import load as load_backbone
from fedmed.backbones.engine import pick_device
from fedmed.backbones.weights import write_state
from fedmed.data import films
from fedmed.data.audit import audit, words
from fedmed.data.cohort import count, labels, patients
from fedmed.data.decoding import decode_all
from fedmed.data.holdout import description, hold_out
from fedmed.data.partition import describe, split
from fedmed.data.public_cohort import public_patients
from fedmed.evaluation.evaluation_set import EvaluationSet
from fedmed.experiment.run_state import RunState
from fedmed.experiment.settings import Settings, parse
from fedmed.experiment.timing import Stopwatch
from fedmed.features.cache import FeatureCache
from fedmed.features.extract import extract
from fedmed.features.sites import Features, TrainingSite
from fedmed.federated.algorithms import ALGORITHMS
from fedmed.federated.channel import Channel
from fedmed.federated.rounds import federate
from fedmed.federated.transforms import FORMATS
from fedmed.imaging.augmentation import CLEAN, FILM
from fedmed.imaging.preprocessing import PREPROCESSING
from fedmed.inference import loading, out_of_distribution
from fedmed.report import document, table
from fedmed.report.card import model_card
from fedmed.report.sections import communication, protocol, rounds, versions
from fedmed.snapshot import examples, manifest, publish, reader
from fedmed.snapshot.manifest import model_entries
from fedmed.snapshot.replace import check_output, claim, move_into_place
from fedmed.task import CLASSES
from fedmed.training.heads import Heads, new_heads, stack, unstack
from fedmed.training.local_training import train
from fedmed.training.optimizer import Optimisation
from fedmed.training.recipe import pick_recipe
from fedmed.training.tensors import pick


def main(settings: Settings) -> None:
    watch = Stopwatch()
    if settings.push_to:
        publish.check_access(settings.push_to, private=settings.private)
    backbone = load_backbone(settings.backbone).to(pick_device(settings.device))
    recipe = pick_recipe(settings.recipe, backbone)

    # X-rays in. Patients who trained the backbone belong to no hospital and no validation set.
    cohort = data.load(
        settings.data,
        patients=settings.patients,
        classes=settings.classes,
        allow_overlap=settings.allow_overlap,
    )
    facts = audit(cohort)
    print(*words(cohort, facts, backbone.public_cohort), sep="\n", flush=True)
    public = public_patients() if backbone.public_cohort and cohort.public else frozenset()
    theirs = [xray for xray in cohort.train if xray.patient in public]
    ours = [xray for xray in cohort.train if xray.patient not in public]
    training, validation = hold_out(ours, seed=settings.seed)
    facts |= {
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
    wanted = [(training, views), (validation, [CLEAN]), (cohort.test, [CLEAN])]
    passes = extract(wanted, backbone, cache)
    looked_at = [*training, *validation, *cohort.test]
    measures = cache.load(FILM, [xray.digest for xray in looked_at])
    facts["films"] = films.judge([xray.name for xray in looked_at], measures)
    for line in films.words(facts["films"]):
        print(line, flush=True)
    state.begin()
    features = Features(training, cache)
    everything = TrainingSite("central", features, np.arange(len(training)), views)
    hospitals = [
        TrainingSite(f"hospital_{number}", features, part, views)
        for number, part in enumerate(parts, start=1)
    ]
    # Read before the training: what lies idle for an hour, another run may drop from the cache.
    unseen = [Features(xrays, cache).view(CLEAN) for xrays in (validation, cohort.test)]
    watch.lap("features")

    # The classes weigh the same for everybody: hospitals report how many X-rays of each they have.
    counts = np.bincount(labels(training), minlength=2)
    optimisation = Optimisation(
        learning_rate=settings.learning_rate,
        batch_size=settings.batch_size,
        class_weights=recipe.class_weights(int(counts[0]), int(counts[1])),
    )
    zero = new_heads(1, unseen[0].shape[1])
    central = train(zero, [everything], range(settings.epochs), optimisation, seed=settings.seed)
    watch.lap("central")

    # The same federation with each wire format; the one asked for is what the snapshot keeps.
    algorithm = ALGORITHMS[settings.algorithm]()
    federations = {
        wire: federate(
            hospitals,
            algorithm=algorithm,
            model=pick(zero.tensors(), 0),
            rounds=settings.rounds,
            local_epochs=settings.local_epochs,
            optimisation=optimisation,
            channel=Channel.of(wire),
            seed=settings.seed,
            state=state.federation(wire),
            on_round=state.keeper(wire),
        )
        for wire in FORMATS
    }
    federated = Heads.of(federations[settings.format].model)
    local = Heads.of(algorithm.model(federations[settings.format].own))
    watch.lap("federated")
    alone = train(
        stack([zero] * settings.hospitals),
        hospitals,
        range(settings.rounds * settings.local_epochs),
        optimisation,
        seed=settings.seed,
    )
    watch.lap("local_only")

    # One evaluator for all. Nothing was chosen on the official test split.
    held_out = EvaluationSet(description(cohort.patients_known), validation, unseen[0])
    official = EvaluationSet(f"{cohort.test_split}, scored once", cohort.test, unseen[1])
    protocols = {"validation": held_out, "test": official}
    models = stack([central, federated, local])
    sites = [site.name for site in hospitals]
    names = ["central", "federated", *sites]
    results = document.build(
        protocols={key: protocol(p, models, names) for key, p in protocols.items()},
        comparison={key: p.compare(federated, central) for key, p in protocols.items()},
        rounds=rounds(federations[settings.format], held_out),
        communication=communication(federations, settings.format, backbone, protocols),
        partition=describe(
            parts,
            patients(training),
            labels(training),
            scheme=settings.partition,
            alpha=settings.alpha,
            seed=settings.seed,
        ),
        local_only={key: p.score(alone, sites) for key, p in protocols.items()},
        data=facts,
        recipe=settings.of_the_run() | {"name": recipe.name, "description": recipe.description},
        timing=watch.report() | {"backbone_passes": passes},
        environment=versions() | {"engine": backbone.engine.title},
    )

    # The snapshot is put together aside, opened as the app will, and moved into place whole.
    aside = state.aside()
    stored = write_state(backbone.state, backbone.origin, aside)
    for name, head in zip(names, unstack(models), strict=True):
        reader.write_head(aside / manifest.model_file(name), head, backbone)
    verdicts = official.probabilities(local) >= 0.5
    chosen = examples.choose(verdicts, labels(cohort.test), settings.examples)
    examples.write(aside / "examples", cohort, chosen)
    seen, kept = (decode_all(out_of_distribution.sample(xrays)) for xrays in (training, validation))
    trained_on = torch.cat([features.view(view) for view in views[:2]])
    typical = out_of_distribution.fit(trained_on, held_out.features, seen, kept)
    out_of_distribution.save(typical, aside)
    document.write(results, aside / manifest.REPORT)
    config = manifest.seal(
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
    (aside / manifest.CARD).write_text(card, encoding="utf-8")
    loading.check(aside)
    move_into_place(aside, settings.output)
    state.finish()
    cache.prune()
    print(table.table(results))
    where = shlex.quote(str(settings.output))
    print(f"\nSnapshot in {settings.output}. To look at it: FEDMED_SNAPSHOT={where} python app.py")


def alone(settings: Settings) -> None:
    """Train while no other run writes to the same output."""
    check_output(settings.output)
    with claim(settings.output):
        main(settings)


def push(settings: Settings, repo: str) -> None:
    print(f"Published: {publish.publish(settings.output, repo, private=settings.private)}")


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
        lambda: push(settings, repo),
        resume_hint=f"The snapshot is kept. To publish it: {later}",
    )


if __name__ == "__main__":
    raise SystemExit(run(parse()))

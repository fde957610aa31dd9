"""The third step of a run that trains networks: all answer as they are stored, and are scored.

Nothing is chosen on the official test split. A hospital's model is the network that it has without
the others; its own after the last round is told of beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fedmed.evaluation.answers import Answers, Images
from fedmed.evaluation.evaluation_set import EvaluationSet
from fedmed.evaluation.shifted import SwappedValidation
from fedmed.experiment.ask_networks import backbone_of, head_of, images_to_ask, official
from fedmed.experiment.attacks_on_networks import attack
from fedmed.experiment.fit_network import FittedNetworks
from fedmed.experiment.prepare_network import PreparedNetwork
from fedmed.experiment.settings import Settings
from fedmed.experiment.timing import Stopwatch
from fedmed.federated.algorithm import Round
from fedmed.federated.channel import Channel
from fedmed.federated.ledger import full_model_bytes
from fedmed.federated.messages import layout_of
from fedmed.federated.transforms import FORMATS
from fedmed.imaging.augmentation import CLEAN, View
from fedmed.progress import say
from fedmed.report import document, network_sections, sections
from fedmed.report.schema import Report
from fedmed.snapshot.networks import stored
from fedmed.training.heads import Heads
from fedmed.training.network import WEIGHT_DECAY
from fedmed.training.network_trainer import read_network
from fedmed.training.optimizer import Optimisation
from fedmed.training.tensors import Tensors


@dataclass(frozen=True)
class ScoredNetworks:
    """The report, and what the snapshot is made of."""

    report: Report
    networks: Mapping[str, Tensors]  # by model, as they are stored
    test: EvaluationSet  # whose `features` are the networks' answers
    alone: Heads  # the hospitals' networks, as heads on those
    federated: Heads


def score_network(
    settings: Settings, prepared: PreparedNetwork, fitted: FittedNetworks, watch: Stopwatch
) -> ScoredNetworks:
    """Return evaluation.json and the networks it is of.

    Raises:
        UserError: a model's answers are no numbers, or a class is missing from those to score.
    """
    sites = prepared.sites
    names = ["central", "federated", *sites]
    networks = stored({name: read_network(path) for name, path in fitted.shipped().items()})
    answers, engine = _ask(settings, prepared, fitted, networks)
    plain = official(prepared, answers)
    validation, test = plain["validation"], plain["test"]
    swapped = SwappedValidation.read(prepared.held_out, answers)
    models = answers.heads(names)
    temperatures = sections.temperatures(validation, models)
    federated, central, alone = (answers.heads(n) for n in (["federated"], ["central"], sites))
    rounds = [f"round {number}" for number in range(1, len(fitted.rounds) + 1)]
    by_round = validation.score(answers.heads(rounds), rounds)
    own = [name for name in answers.names if name.startswith("own ")]
    formats = {settings.format: "federated"} | {name: f"in {name}" for name in fitted.others}
    watch.lap("scoring")
    report = document.build(
        protocols={
            "validation": sections.protocol(validation, models, names, temperatures),
            "shifted": sections.shifted(swapped, models, names),
            "test": sections.protocol(test, models, names, temperatures),
        },
        comparison={name: one.compare(federated, central) for name, one in plain.items()},
        rounds=network_sections.rounds(
            fitted.federation.ledger, [by_round[name] for name in rounds]
        ),
        communication=network_sections.communication(
            {settings.format: fitted.federation.ledger}
            | {format: ledger for format, (_, ledger) in fitted.others.items()},
            settings.format,
            _sizes(settings, prepared, fitted),
            full_model_bytes(networks["federated"]),
            {
                format: {
                    name: one.score(answers.heads([model]), [model])[model]
                    for name, one in plain.items()
                }
                for format, model in formats.items()
            },
            network_sections.titles_of(fitted.plan.algorithm.sends),
        ),
        partition=prepared.describe_partition(settings),
        local_only={
            **{name: one.score(alone, sites) for name, one in plain.items()},
            "shifted": swapped.score(alone, sites),
        },
        own_after_last_round={
            name: one.score(answers.heads(own), [model.removeprefix("own ") for model in own])
            for name, one in plain.items()
        },
        calibration=sections.reliability(temperatures, plain, models, names),
        data=prepared.audit,
        recipe=settings.of_the_run()
        | {"name": prepared.recipe.name, "description": prepared.recipe.description},
        training=_training(settings, prepared, fitted),
        **fitted.plan.report(fitted.federation),
        **({"privacy": {"audit": attack(prepared, answers)}} if settings.audit else {}),
        timing=watch.report(),
        environment=sections.versions()
        | {"engine": engine}
        # Of trainings that a run before did, nobody knows it any more.
        | ({} if watch.kept else {"peak_memory_gib": fitted.peak_memory_gib}),
    )
    return ScoredNetworks(report, networks, test, alone, federated)


def _ask(
    settings: Settings,
    prepared: PreparedNetwork,
    fitted: FittedNetworks,
    networks: Mapping[str, Tensors],
) -> tuple[Answers, str]:
    """Have every network answer on what it is scored on; returns what passes ran on, too."""
    views = images_to_ask(prepared, audit=settings.audit)
    clean = [(view, images) for view, images in views if view == CLEAN]
    own = {path.stem.split("-")[1]: path for path in fitted.own}
    rounds = dict(enumerate(fitted.rounds, start=1))
    asked: list[tuple[str, Any, list[tuple[View, Images]]]] = [
        *((name, network, views) for name, network in networks.items()),
        *((f"own {name}", path, clean[:2]) for name, path in own.items()),
        *((f"round {number}", path, clean[:1]) for number, path in rounds.items()),
        *((f"in {format}", path, clean[:2]) for format, (path, _) in fitted.others.items()),
    ]
    answers = Answers([name for name, _, _ in asked])
    for number, (name, network, wanted) in enumerate(asked, start=1):
        network = network if isinstance(network, dict) else read_network(network)
        backbone = backbone_of(network, prepared)
        answers.ask(name, backbone, head_of(network), wanted)
        say(f"Scored {number} of {len(asked)} networks: {name.replace('_', ' ')}")
    return answers, backbone.engine.title


def _sizes(
    settings: Settings, prepared: PreparedNetwork, fitted: FittedNetworks
) -> dict[str, tuple[int, int]]:
    """Bytes of a message up and down in each format, on messages of the federation's layouts."""
    algorithm, server = fitted.plan.algorithm, fitted.federation.server
    now = Round(
        number=1,
        hospitals=tuple(prepared.sites),
        epochs=range(0),
        optimisation=Optimisation(),
        seed=settings.seed,
        trainer=_no_training,
    )
    up, down = algorithm.expected(server), layout_of(algorithm.broadcast(server))
    return {format: Channel.of(format, networks=True).sizes(up, down, now) for format in FORMATS}


def _no_training(*arguments: Any, **named: Any) -> Tensors:
    raise AssertionError("messages are counted, nothing is trained")


def _training(
    settings: Settings, prepared: PreparedNetwork, fitted: FittedNetworks
) -> dict[str, Any]:
    regime = prepared.regime
    return {
        "mode": "network",
        "size": regime.size,
        "batch_norm": regime.batch_norm,
        "start": prepared.backbone.id,
        "precision": "bf16" if regime.bf16 else "FP32",
        "device": regime.device,
        "optimizer": "AdamW",
        "weight_decay": WEIGHT_DECAY,
        "label_smoothing": regime.smoothing,
        "epochs": {
            "central": settings.epochs,
            "federated": regime.total_epochs,
            "alone": regime.total_epochs,
        },
        "workers": fitted.workers,
    }

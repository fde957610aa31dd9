"""The third step of a run: one evaluator for all models, and the report of it.

Nothing is chosen on the official test split. `shifted` is the validation patients with what tells
the classes apart by framing swapped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fedmed.experiment import personal
from fedmed.experiment.attacks import attack
from fedmed.experiment.fit import Fitted
from fedmed.experiment.prepare import Prepared
from fedmed.experiment.settings import Settings
from fedmed.experiment.study import study
from fedmed.experiment.timing import Stopwatch
from fedmed.experiment.yardstick import gains, yardstick
from fedmed.federated.ledger import full_model_bytes
from fedmed.progress import step
from fedmed.report import document, sections
from fedmed.report.schema import Report
from fedmed.training.heads import stack
from fedmed.training.tensors import pick


def score(
    settings: Settings,
    prepared: Prepared,
    fitted: Fitted,
    watch: Stopwatch,
    between_machines: Mapping[str, Any] | None = None,
) -> Report:
    """Return evaluation.json.

    `between_machines` is what the report's `federation` says of one that ran between machines.

    Raises:
        UserError: a model's answers are no numbers, or a class is missing from those to score.
    """
    sites = prepared.sites
    names = ["central", "federated", *sites]
    models = stack([fitted.central, fitted.federated, fitted.local])
    official = {"validation": prepared.validation, "test": prepared.test}
    shifted = prepared.shifted
    temperatures = sections.temperatures(prepared.validation, models)
    privacy = fitted.protection.report()
    if fitted.unprotected is not None:
        privacy["price"] = {
            name: sections.price(protocol, fitted.federated, fitted.unprotected)
            for name, protocol in official.items()
        }
    if settings.audit:
        with step("Attacking the models"):
            privacy["audit"] = attack(settings, prepared, fitted)
        watch.lap("audit")
    compared: dict[str, Any] = {}
    if settings.personalise:
        compared["personalised"] = personal.report(settings)
    if settings.study:
        compared["study"] = study(settings, prepared)
        watch.lap("study")
    sent = fitted.federations[settings.format]
    validated = sections.protocol(prepared.validation, models, names, temperatures)
    alone = {name: protocol.score(fitted.alone, sites) for name, protocol in official.items()}
    partition = prepared.describe_partition(settings)
    federation = fitted.plan.report(sent)
    federation["federation"] |= between_machines or {}
    return document.build(
        protocols={
            "validation": validated,
            "shifted": sections.shifted(shifted, models, names),
            "test": sections.protocol(prepared.test, models, names, temperatures),
        },
        comparison={
            name: protocol.compare(fitted.federated, fitted.central)
            for name, protocol in official.items()
        },
        rounds=sections.rounds(sent, prepared.validation),
        communication=sections.communication(
            fitted.federations,
            settings.format,
            full_model_bytes({**prepared.backbone.state, **pick(fitted.federated.tensors(), 0)}),
            official,
            fitted.plan.titles(sent),
            fitted.unfinished,
        ),
        partition=partition,
        local_only={**alone, "shifted": shifted.score(fitted.alone, sites)},
        **federation,
        yardstick=yardstick(prepared, fitted, sent, seed=settings.seed),
        gains=gains(validated, alone["validation"], partition, personal=bool(settings.personalise)),
        calibration=sections.reliability(temperatures, official, models, names),
        data=prepared.audit,
        recipe=settings.of_the_run()
        | {"name": prepared.recipe.name, "description": prepared.recipe.description},
        timing=watch.report() | {"backbone_passes": prepared.passes},
        environment=sections.versions() | {"engine": prepared.engine},
        **({"privacy": privacy} if privacy else {}),
        **compared,
    )

"""The snapshot of a federation between machines: what the coordinator has, and no more.

That is the federated model, the frozen backbone, who took part, and what hospitals counted on their
own patients. Its report says so; the app opens it. Where one machine has all X-rays, as in `make
hospitals`, `aftermath.snapshot` has models to compare with as well.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from fedmed import cli
from fedmed.backbones.backbone import Backbone
from fedmed.backbones.weights import write_state
from fedmed.errors import UserError
from fedmed.experiment.plan import federated_by, formats_differ
from fedmed.experiment.save import put_in_place
from fedmed.federated.algorithms import make_algorithm
from fedmed.federated.ledger import full_model_bytes, summary, titles
from fedmed.federated.state import State
from fedmed.flower import networks
from fedmed.flower.hospital import algorithm_of
from fedmed.flower.record import Record
from fedmed.flower.terms import Terms
from fedmed.privacy.private_counts import deviation
from fedmed.report.machines_card import machines_card
from fedmed.report.machines_report import SCHEMA_VERSION, count_noise, held_out, validate
from fedmed.report.sections import versions
from fedmed.snapshot import manifest
from fedmed.snapshot.networks import BASE, config_entries, stored, write_networks
from fedmed.snapshot.reader import write_head
from fedmed.snapshot.replace import check_output, claim
from fedmed.task import CLASSES, model_title
from fedmed.training.heads import Heads
from fedmed.training.recipe import RECIPES

FOLDER = "snapshot"
OF_THE_RUN = (  # of the terms, for the report
    *("algorithm", "format", "rounds", "local_epochs", "batch_size", "learning_rate"),
    *("views", "seed", "epsilon", "delta", "secure_aggregation"),
)


def write(output: Path, backbone: Backbone) -> Path | None:
    """Write the snapshot of a federation that ended in `output`, to FOLDER in it; return where.

    None where there is no model to show: each hospital has a network of its own.

    Raises:
        UserError: the federation did not end, or was on another backbone.
    """
    record = Record.load(output)
    if record is None or not record.finished:
        raise UserError(f"{output} holds no federation that ended")
    terms = Terms.read(record.terms)
    if terms.backbone != backbone.sha256:
        raise UserError(
            f"the federation in {output} was on the backbone with the sha256 "
            f"{terms.backbone[:16]}, and {backbone.id} has {backbone.sha256[:16]}: name that one"
        )
    if terms.of_networks and terms.batch_norm == "local":
        return None
    state = State.load(output / "state.safetensors")
    place, aside = output / FOLDER, output / f".{FOLDER}.aside"
    check_output(place)
    with claim(place):
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        entries = _models(aside, terms, state, backbone)
        report = validate(describe(record, state, backbone))
        model = {
            **entries.pop("files"),
            "title": model_title(BASE),
            "threshold": {"value": 0.5, "rule": "fixed at 0.5"},
            "training": report["data"].get("images"),
        }
        put_in_place(
            aside,
            place,
            report,
            entries | {"models": {BASE: model}, "seed": terms.seed},
            lambda config: machines_card(report, config),
        )
    return place


def how_to_look(place: Path) -> str:
    """How the app is started on a snapshot, in the environment that has it."""
    line = cli.command("app.py", FEDMED_SNAPSHOT=str(place))
    line = line.replace(cli.python(), ".venv/bin/python")
    return f"\nTo look at {place}, with the environment of `make app`:\n  {line}"


def describe(record: Record, state: State, backbone: Backbone) -> dict[str, Any]:
    """Return evaluation.json, as `report.machines_report` has it."""
    terms = Terms.read(record.terms)
    told = record.hospitals
    simulated = all(one["simulated"] for one in told.values())
    algorithm = make_algorithm(terms.algorithm, networks=terms.of_networks)
    if not terms.of_networks:
        algorithm = algorithm_of(terms, simulated=simulated)
    sent = "masked" if terms.secure_aggregation else terms.format
    recipe = RECIPES[terms.recipe]
    network = networks.whole(backbone, {}, {})
    members = [
        {"name": name, "patients": one["patients"], **_images([one])} for name, one in told.items()
    ]
    noise = None
    if terms.epsilon:
        scale = deviation(terms.epsilon, terms.delta)
        noise = count_noise(terms.epsilon, terms.delta, scale)
    sends = "Network" if terms.of_networks else algorithm.sends
    return {
        "schema_version": SCHEMA_VERSION,
        "protocols": held_out(record.evaluation, noise),
        "rounds": [
            {"round": number, "bytes_up": up, "bytes_down": down}
            for number, (up, down) in enumerate(
                zip(state.ledger.up, state.ledger.down, strict=True), 1
            )
        ],
        "communication": {
            "sent": sent,
            "rounds": state.round,
            "hospitals": len(told),
            "formats": summary(
                {sent: state.ledger},
                full_model_bytes(network),
                titles(sends, rounded=formats_differ(algorithm, state)),
            ),
        },
        "partition": {"scheme": "each hospital's own", "hospitals": members},
        "data": {
            "simulated": simulated,
            "patients": sum(one["patients"] for one in told.values()),
            **_images([*told.values()]),
        },
        "algorithm": federated_by(algorithm, state.round),
        "federation": record.report(),
        "recipe": {"name": recipe.name, "description": recipe.description}
        | {name: getattr(terms, name) for name in OF_THE_RUN},
        "training": {"mode": terms.train}
        | ({"size": terms.size, "batch_norm": terms.batch_norm} if terms.of_networks else {}),
        "environment": versions(),
    }


def _models(folder: Path, terms: Terms, state: State, backbone: Backbone) -> dict[str, Any]:
    """Write the federated model and what it stands on; return what config.json says of both, and
    under `files` which files are the model."""
    if not terms.of_networks:
        paths = write_state(backbone.state, backbone.origin, folder)
        name = manifest.model_file(BASE)
        write_head(folder / name, Heads.of(state.model), backbone)
        known = {"sha256": backbone.sha256, "files": [path.name for path in paths]}
        return {"backbone": backbone.origin | known, "files": {"file": name}}
    trained = {BASE: networks.whole(backbone, state.model, {})}
    files = write_networks(folder, trained, backbone.origin, terms.size)[BASE]
    entries = config_entries(stored(trained), backbone.origin, terms.size)
    return entries | {"files": {"file": files[0], "files": [*files]}}


def _images(told: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """How many X-rays of each class all these have; nothing where that is not told."""
    if not all(one["images"] for one in told):
        return {}
    counts = (sum(each) for each in zip(*(one["images"] for one in told), strict=True))
    return {"images": dict(zip(CLASSES, counts, strict=True))}

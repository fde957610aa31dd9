"""A finished run taken up again: its options from its report, its X-rays found and checked."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from fedmed.cli import Elsewhere
from fedmed.data import is_hub_id
from fedmed.data.patient_option import is_table
from fedmed.errors import UserError
from fedmed.experiment.choices import BACKBONES
from fedmed.experiment.prepare import Prepared, prepare
from fedmed.experiment.prepare_network import PreparedNetwork, prepare_network
from fedmed.experiment.run_state import RunState
from fedmed.experiment.settings import Settings
from fedmed.experiment.timing import Stopwatch
from fedmed.experiment.without import without_all
from fedmed.inference import loading
from fedmed.report import document
from fedmed.report.card import model_card
from fedmed.snapshot import manifest
from fedmed.snapshot.reader import Snapshot
from fedmed.snapshot.replace import move_into_place


def settings_of(
    snapshot: Snapshot, elsewhere: Elsewhere, *, aside: str, resume: bool, networks: bool = False
) -> Settings:
    """Return the options of a snapshot's run; what is unfinished lies beside it, as `aside`.

    Raises:
        UserError: it is of whole networks, and these are not asked for; or it read what is not
            said to be anywhere.
    """
    if snapshot.whole and not networks:
        raise UserError(
            f"{snapshot.folder} holds whole networks, and this works with heads on a frozen "
            "backbone: name a snapshot of --train head."
        )
    recipe = snapshot.report["recipe"]
    known = {option.name for option in fields(Settings)}
    given: dict[str, Any] = {name: value for name, value in recipe.items() if name in known}
    public = given["data"] == "simulated" or is_hub_id(given["data"])
    ours = given["backbone"] not in BACKBONES
    for name, is_elsewhere, what, where in (
        ("data", not public, "X-rays in a folder", "they are with --data DIR"),
        (
            "patients",
            is_table(given.get("patients")),
            "patients that a table tells",
            "it is with --patients CSV",
        ),
        ("backbone", ours and snapshot.whole, "a backbone", "it is with --backbone PATH"),
    ):
        said = getattr(elsewhere, name)
        if is_elsewhere and said is None:
            raise UserError(
                f"{snapshot.folder} was trained on {what}, {given[name]}, and a snapshot does not "
                f"hold that: say where {where}."
            )
        # A data set that is public may lie here, too.
        if said is not None and not is_elsewhere and name != "data":
            raise UserError(f"--{name}: {snapshot.folder} was not trained on {what} of yours.")
        given[name] = said or given.get(name)
    if ours and not snapshot.whole:
        given["backbone"] = str(snapshot.folder)
    output = snapshot.folder.with_name(f"{snapshot.folder.name}.{aside}")
    return Settings(**given, output=output, resume=resume)


def prepare_again(settings: Settings, snapshot: Snapshot, **more: Any) -> Prepared:
    """Prepare the run of a snapshot as it was, without those who were forgotten since.

    `more` are options that are changed.

    Raises:
        UserError: these are not the X-rays that it was trained on, or not its backbone.
    """
    prepared = prepare(replace(settings, **more), Stopwatch())
    prepared = without_all(prepared, forgotten(snapshot))
    _check_same(settings, prepared.audit, snapshot)
    if prepared.backbone.sha256 != snapshot.config["backbone"]["sha256"]:
        raise UserError(
            f"{snapshot.folder} was trained on another backbone than the one of that name here: "
            "its features cannot be made again."
        )
    return prepared


def prepare_networks_again(settings: Settings, snapshot: Snapshot, **more: Any) -> PreparedNetwork:
    """As `prepare_again`, of a run that trained whole networks.

    Raises:
        UserError: these are not the X-rays that it was trained on, or training began elsewhere.
    """
    prepared = prepare_network(replace(settings, **more), Stopwatch())
    _check_same(settings, prepared.audit, snapshot)
    trained: Mapping[str, Any] = snapshot.report["training"]
    if prepared.backbone.id != trained["start"]:
        raise UserError(
            f"{snapshot.folder}: its training began from another backbone than the one of that "
            "name here."
        )
    return prepared


def _check_same(settings: Settings, audit: Mapping[str, Any], snapshot: Snapshot) -> None:
    stored: Mapping[str, Any] = snapshot.report["data"]
    for name, what in (("training", "train on"), ("held_out", "hold out")):
        if audit[name] != stored[name]:
            raise UserError(
                f"--data {settings.data}: these are not the X-rays that {snapshot.folder} was "
                f"trained on: there are {_words(audit[name])} to {what}, and there were "
                f"{_words(stored[name])}; name the same data set."
            )


def forgotten(snapshot: Snapshot) -> list[str]:
    """Return the hospitals that were taken out, each as it was called then."""
    return snapshot.report.get("federation", {}).get("forgotten", [])


def put_back(
    snapshot: Snapshot,
    state: RunState,
    *,
    report: Mapping[str, Any] | None = None,
    add: Callable[[Path], None] = lambda folder: None,
) -> None:
    """Replace a snapshot by one of the same models, its card written anew.

    `report` takes the place of the one that is there; `add` writes files beside the others.
    """
    folder = state.folder / "snapshot"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(snapshot.folder, folder)
    checked = document.validate(report or snapshot.report)
    if report:
        document.write(checked, folder / manifest.REPORT)
    add(folder)
    own = ("files", "config_sha256")
    config = manifest.seal(folder, {n: v for n, v in snapshot.config.items() if n not in own})
    (folder / manifest.CARD).write_text(model_card(checked, config), encoding="utf-8")
    loading.check(folder)
    move_into_place(folder, snapshot.folder)
    state.finish()


def _words(counts: Mapping[str, Any]) -> str:
    images = ", ".join(f"{count:,} {label}" for label, count in counts["images"].items())
    return f"{images} of {counts['patients']:,} patients"

"""What is made of a federation that was rehearsed on one machine: traffic, proof, snapshot."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from fedmed.data.audit import audit
from fedmed.data.cohort import Cohort, count
from fedmed.errors import UserError
from fedmed.experiment.deal import Dealt
from fedmed.experiment.fit import fit
from fedmed.experiment.prepare import prepare
from fedmed.experiment.save import save
from fedmed.experiment.score import score
from fedmed.experiment.settings import Settings
from fedmed.experiment.timing import Stopwatch
from fedmed.federated.ledger import Ledger
from fedmed.federated.state import State
from fedmed.flower.memory import Memory
from fedmed.flower.premises import Premises
from fedmed.flower.record import Record
from fedmed.flower.rehearsal import Rehearsal
from fedmed.flower.replay import replay, replay_networks
from fedmed.flower.terms import Terms
from fedmed.progress import step
from fedmed.report.in_short import in_short
from fedmed.report.table import table
from fedmed.training.tensors import join


def traffic(ledger: Ledger, wire: Mapping[str, tuple[int, int]]) -> str:
    """Bytes of each hospital: of our messages, and of all that went over TCP."""
    lines = [
        "",
        f"{'bytes':13}{'messages up':>13}{'down':>13}{'TCP up':>13}{'down':>13}{'in all':>9}",
    ]
    for name, (up, down) in wire.items():
        sent, got = (sum(entry.get(name, 0) for entry in way) for way in (ledger.up, ledger.down))
        more = (up + down) / max(sent + got, 1)
        lines.append(f"{name:13}{sent:13,}{got:13,}{up:13,}{down:13,}{more:7.1f} x")
    lines += [
        "The rest is Flower's: TLS, signatures, the bundle, polling while a node is there,",
        "and messages to join and to score.",
        "",
    ]
    return "\n".join(lines)


def opened(rehearsal: Rehearsal) -> list[Premises]:
    """Return what each hospital has."""
    return [
        Premises.open(name, str(rehearsal.xrays(name)), rehearsal.home(name))
        for name in rehearsal.names
    ]


def gathered(rehearsal: Rehearsal, record: Record, state: State) -> State:
    """Return the state with what hospitals keep, read in their homes: they are on this machine."""
    kept = []
    for name in rehearsal.names:
        last = max(r["round"] for r in record.rounds if name in r["hospitals"])
        found = Memory(rehearsal.home(name) / "runs" / Terms.read(record.terms).run).at(last)
        if found is None:
            raise UserError(f"{rehearsal.home(name)} lacks what {name} kept of round {last}")
        kept.append(found.own)
    return replace(state, own=join(kept))


def compare(record: Record, state: State, premises: Sequence[Premises]) -> State:
    """Run the same federation in one process; return its state.

    Raises:
        UserError: the two models differ in any bit.
    """
    terms = Terms.read(record.terms)
    if terms.of_networks:
        images = [one.images(terms.size) for one in premises]
        with TemporaryDirectory() as trained:
            again = replay_networks(record, images, premises[0].backbone, Path(trained))
    else:
        again = replay(
            record,
            [one.site(terms.recipe, terms.views, terms.seed) for one in premises],
            width=premises[0].backbone.width,
            simulated=premises[0].cohort.simulated,
        )
    for name, tensor in state.model.items():
        if not torch.equal(tensor, again.model[name]):
            apart = float((tensor - again.model[name]).abs().max())
            raise UserError(
                f"{name} of the model differs by {apart} from the same federation in one process: "
                "this is a fault of FedMed's; please report it"
            )
    return again


def snapshot(
    rehearsal: Rehearsal,
    cohort: Cohort,
    premises: Sequence[Premises],
    record: Record,
    state: State,
) -> None:
    """Score the federated head beside a central one and each hospital's, and write a snapshot.

    Only here, where one machine has all X-rays, can it be told what pooling them would have given.
    """
    terms = Terms.read(record.terms)
    cache = rehearsal.folder / "features"
    for one in premises:  # the hospitals are done: no pass is made twice
        shutil.copytree(one.home / "features", cache, dirs_exist_ok=True)
    os.environ["FEDMED_CACHE"] = str(cache)
    settings = Settings(
        data=cohort.source if cohort.simulated else cohort.about["title"],
        output=rehearsal.folder / "snapshot",
        hospitals=len(premises),
        rounds=state.round,
        local_epochs=terms.local_epochs,
        epochs=state.round * terms.local_epochs,
        batch_size=terms.batch_size,
        learning_rate=terms.learning_rate,
        views=terms.views,
        recipe=terms.recipe,
        algorithm=terms.algorithm,
        quantize="none" if terms.format == "fp32" else terms.format,
        epsilon=terms.epsilon or None,
        delta=terms.delta,
        secure_aggregation=terms.secure_aggregation,
        seed=terms.seed,
    )
    watch = Stopwatch()
    with step("What pooling, and each hospital alone, would have given"):
        prepared = prepare(settings, watch, _dealt(cohort, premises))
        sites = [one.site(terms.recipe, terms.views, terms.seed) for one in premises]
        prepared = replace(prepared, hospitals=sites)
        fitted = fit(settings, prepared, watch, sent=state)
        report = score(settings, prepared, fitted, watch, between_machines=record.report())
        save(settings, prepared, fitted, report)
    print(f"\n{table(report)}\n\n{in_short(report)}")


def _dealt(cohort: Cohort, premises: Sequence[Premises]) -> Dealt:
    """All hospitals' X-rays as if they were in one place, and who held out whom."""
    training = [xray for one in premises for xray in one.cohort.train]
    held_out = [xray for one in premises for xray in one.cohort.test]
    whole = replace(cohort, train=[*training, *held_out])
    ends = np.cumsum([len(one.cohort.train) for one in premises])
    parts = np.split(np.arange(len(training)), ends[:-1])
    told = audit(whole) | {
        "public_cohort": None,
        "held_out": count(held_out),
        "training": count(training),
    }
    return Dealt(whole, training, held_out, parts, told)

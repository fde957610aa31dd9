"""Real X-rays, simulated, in hospitals' folders: protected federations end in a snapshot."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fedmed.backbones.backbone import load
from fedmed.data.simulated import simulated_cohort
from fedmed.experiment import reference
from fedmed.flower.aftermath import compare, gathered, opened, snapshot
from fedmed.flower.coordinator import Coordinator
from fedmed.flower.hospital import Hospital
from fedmed.flower.options import Options
from fedmed.flower.premises import Premises
from fedmed.flower.record import Record
from fedmed.privacy import public_centre
from fedmed.report.machines_facts import machines_section
from fedmed.snapshot.reader import Snapshot
from fedmed.task import CLASSES
from tests.support.machines import LocalWire, same

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dealt(tmp_path_factory):
    """Folders of three hospitals, and what they were dealt from."""
    folder = tmp_path_factory.mktemp("dealt")
    cohort = simulated_cohort(42, 6)
    names = [f"hospital_{number}" for number in (1, 2, 3)]
    for label, named in enumerate(CLASSES):
        patients = dict.fromkeys(x.patient for x in cohort.train if x.label == label)
        home = {patient: names[place % 3] for place, patient in enumerate(patients)}
        for xray in cohort.train:
            if xray.label == label:
                to = folder / "xrays" / home[xray.patient] / named / Path(xray.name).name
                to.parent.mkdir(parents=True, exist_ok=True)
                xray.load().save(to.with_suffix(".png"))
    rehearsal: Any = SimpleNamespace(
        folder=folder,
        names=names,
        xrays=lambda name: folder / "xrays" / name,
        home=lambda name: folder / "homes" / name,
    )
    return rehearsal, cohort


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(public_centre, "PATIENTS", 12)
    monkeypatch.setattr(reference, "MOST", 2)


def run(dealt, output, **options):
    rehearsal, _ = dealt

    def hospital(name):
        folder, home = str(rehearsal.xrays(name)), rehearsal.home(name)
        return Hospital(name, lambda: Premises.open(name, folder, home))

    wire = LocalWire([hospital(name) for name in rehearsal.names])
    given = {"hospitals": 3, "rounds": 2, "local_epochs": 2, "views": 1, "output": str(output)}
    given |= {"wait_seconds": 0.0}
    state = Coordinator(Options(**(given | options)), load("imagenet"), wire).run()
    return state, Record.load(output)


@pytest.mark.parametrize("algorithm", ["fedavg", "class-means"])
def test_a_private_run_says_what_it_promises(dealt, algorithm, tmp_path):
    rehearsal, cohort = dealt
    options = {"epsilon": 3.0, "secure_aggregation": True, "algorithm": algorithm}
    state, record = run(dealt, tmp_path / "out", **options)
    whole = gathered(rehearsal, record, state)
    snapshot(rehearsal, cohort, opened(rehearsal), record, whole)
    report = Snapshot.open(rehearsal.folder / "snapshot").report
    promise = report["privacy"]["differential"]
    steps = 1 if algorithm == "class-means" else 4
    assert (promise["epsilon"], promise["delta"], promise["steps"]) == (3.0, 1e-5, steps)
    assert report["communication"]["sent"] == "masked"
    told = report["federation"]["privacy"]
    assert "(3, 1e-05)-differentially private" in told and "masks hide" in told
    assert told in machines_section(report)


def test_a_masked_run_is_the_one_in_one_process(dealt, tmp_path):
    rehearsal, _ = dealt
    state, record = run(dealt, tmp_path / "out", secure_aggregation=True)
    assert same(compare(record, state, opened(rehearsal)).model, state.model)


def test_rows_are_patients_and_lie_around_xrays_of_nobody(dealt, tmp_path):
    rehearsal, _ = dealt
    here = opened(rehearsal)[0]
    site = here.patients("robust", 1, 42)
    assert site.name == here.name
    assert len(site.labels) == here.counts()["patients"]
    there = opened(rehearsal)[1].space()
    assert here.space().radius == there.radius
    assert (here.space().centre == there.centre).all()

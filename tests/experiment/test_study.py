"""A study: every run is made once, kept, and found again in the report."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from fedmed.errors import UserError
from fedmed.experiment import study as studies
from fedmed.experiment.settings import Settings
from fedmed.experiment.study import study
from fedmed.experiment.study_design import SEEDS, Cell, design
from fedmed.experiment.study_runs import run
from fedmed.features.sites import HeldFeatures
from fedmed.federated.algorithms import ALGORITHMS
from fedmed.imaging.augmentation import CLEAN, View
from fedmed.privacy.rows import Space
from fedmed.report.check import check
from fedmed.report.study_schema import Study
from fedmed.training.recipe import RECIPES
from tests.support.sites import CloudSite
from tests.support.xrays import xrays

CELLS = [
    Cell("fedavg", "label-skew"),
    Cell("fedavg", "label-skew", format="int8"),
    Cell("fedavg", "iid", epsilon=0.05),
    Cell("median", "iid", poison="scale:1e6"),
    Cell("ridge", "iid"),
    Cell("ridge", "label-skew"),
]
SETTINGS = Settings(hospitals=3, rounds=2, local_epochs=1, batch_size=32, seed=7, workers=1)
VIEWS = [CLEAN, View("degraded")]


def images(each: int, first: int) -> list[Any]:
    numbers = range(first, first + each)
    return [
        *xrays([f"IM-{n}.jpeg" for n in numbers], 0),
        *xrays([f"person{n}_virus_{n}.jpeg" for n in numbers], 1),
    ]


@pytest.fixture
def prepared(tmp_path: Path) -> Any:
    """A run's features, drawn: 120 patients to train on, 60 held out."""
    site, unseen = CloudSite("all", 60, 60, 64), CloudSite("unseen", 30, 30, 64)
    held = HeldFeatures(site.labels, [site.features, site.features + 0.1])
    number = {view: place for place, view in enumerate(VIEWS)}
    features = SimpleNamespace(labels=held.labels, view=lambda view: held.view(number[view]))
    return SimpleNamespace(
        training=images(60, 0),
        parts=[],
        recipe=RECIPES["robust"],
        views=VIEWS,
        features=features,
        validation=SimpleNamespace(xrays=images(30, 60), features=unseen.features),
        shifted=SimpleNamespace(features=torch.stack([unseen.features, unseen.features * 0.5])),
        space=Space(torch.zeros(64, dtype=torch.float64), 4.0),
        cohort=SimpleNamespace(simulated=True),
        state=SimpleNamespace(folder=tmp_path),
    )


def test_the_study_is_what_its_runs_came_to(prepared: Any, monkeypatch: Any) -> None:
    found = study(SETTINGS, prepared, cells=CELLS, seeds=2)
    check(found, Study)
    assert found["seeds"] == [7, 8] and len(found["cells"]) == len(CELLS)
    plain, int8, private, poisoned, even, skewed = found["cells"]
    assert all(np.mean(cell["auc"]) > 0.9 for cell in (plain, int8, even))
    assert private["epsilon"] == 0.05 and np.mean(private["auc"]) < np.mean(plain["auc"])
    assert int8["bytes"] < plain["bytes"] and plain["rounds"] == 2 and even["rounds"] == 1
    assert even["auc"] == pytest.approx(skewed["auc"], abs=1e-6), "sums are the same however dealt"
    assert plain["auc"][0] != plain["auc"][1]
    assert set(found["by_hospital"]) == {"hospital_1", "hospital_2", "hospital_3"}
    one = found["by_hospital"]["hospital_1"]
    assert all(len(one[key]) == 2 for key in ("alone", "federated", "contribution"))
    assert poisoned["seeds"], "one hospital that sends a million times its update ends no run"

    # Broken off and gone on with: what is kept is not run again, and ends in the same study.
    record = prepared.state.folder / "study.jsonl"
    lines = [line for line in record.read_text().splitlines() if line]
    record.write_text("\n".join(lines[:-2]) + "\n" + lines[-1][:20])
    ran = []
    monkeypatch.setattr(studies, "run", lambda order: ran.append(order) or run(order))
    again = study(SETTINGS, prepared, cells=CELLS, seeds=2)
    assert len(ran) == 2
    assert {**again, "seconds": 0} == {**found, "seconds": 0}


def test_what_needs_no_noise_can_be_kept(prepared: Any, monkeypatch: Any) -> None:
    first = study(SETTINGS, prepared, cells=CELLS, seeds=2)
    noisy, new = CELLS[2], Cell("lda", "iid")
    ran: list[Any] = []
    monkeypatch.setattr(studies, "run", lambda order: ran.append(order) or run(order))

    def again(before: dict[str, Any]) -> dict[str, Any]:
        ran.clear()
        (prepared.state.folder / "study.jsonl").unlink(missing_ok=True)
        return study(SETTINGS, prepared, cells=[*CELLS, new], seeds=2, before=before)

    found = again(first)
    assert found["cells"][:2] == first["cells"][:2] and found["by_hospital"] == first["by_hospital"]
    assert found["cells"][-1]["algorithm"] == "lda" and len(found["cells"][-1]["seeds"]) == 2
    assert [order.seed for order in ran if order.cell == noisy] == [7, 8]
    known = [(order.cell, order.seed) for order in ran if order.cell not in (noisy, new)]
    assert sorted(known, key=str) == sorted(
        [(cell, 7) for cell in (None, *CELLS[:2], *CELLS[3:5])], key=str
    ), "one of each kind is run again, once"

    other = copy.deepcopy(first)
    other["cells"][4]["auc"][0] -= 0.01
    with pytest.raises(UserError, match="ridge comes to other scores today"):
        again(other)
    other = copy.deepcopy(first)
    other["by_hospital"]["hospital_2"]["alone"][0] += 0.01
    with pytest.raises(UserError, match="a hospital alone comes to other scores"):
        again(other)
    with pytest.raises(UserError, match="other rounds than"):
        again({**first, "rounds": 3})


def test_a_run_that_fails_says_why_and_ends_no_study(prepared: Any) -> None:
    settings = Settings(hospitals=3, rounds=2, local_epochs=1, learning_rate=1e6, workers=1)
    found = study(settings, prepared, cells=[Cell("fedavg", "iid", format="fp16")], seeds=1)
    (cell,) = found["cells"]
    assert cell["seeds"] == [] and "lower --learning-rate" in cell["failed"]["reason"]
    check(found, Study)


def test_the_design_holds_every_algorithm_and_each_federation_once() -> None:
    cells = design()
    assert len(set(cells)) == len(cells)
    assert {cell.algorithm for cell in cells} == set(ALGORITHMS)
    assert SEEDS >= 5
    assert {cell.epsilon for cell in cells} == {None, 8.0, 3.0, 1.0}
    assert {cell.format for cell in cells} == {"fp32", "fp16", "int8"}

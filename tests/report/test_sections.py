"""The sections of a report, from heads of random numbers on features of random numbers."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, roc_auc_score

from fedmed.evaluation.evaluation_set import EvaluationSet
from fedmed.federated.ledger import Ledger
from fedmed.federated.state import State
from fedmed.report import schema, sections
from fedmed.report.check import check
from fedmed.training.heads import Heads
from tests.support.xrays import xrays

IMAGES, ROUNDS, HOSPITALS = 24, 3, 2
TRUTH = np.repeat([0, 1], IMAGES // 2)


def heads(count: int, seed: int) -> Heads:
    generator = torch.Generator().manual_seed(seed)
    return Heads(
        torch.randn(count, 2, 512, generator=generator) / 20,
        torch.randn(count, 2, generator=generator),
    )


def federation(seed: int = 0, size: int = 100) -> State:
    sent = {f"hospital_{number}": size + number for number in range(1, HOSPITALS + 1)}
    ledger = Ledger([sent] * ROUNDS, [dict.fromkeys(sent, size)] * ROUNDS)
    models = heads(ROUNDS, seed).tensors()
    return State(server={}, own={}, held={}, kept={}, models=models, ledger=ledger)


@pytest.fixture
def held_out() -> EvaluationSet:
    """Two images of each patient."""
    images = [
        *xrays([f"IM-{number // 2:04}-000{number}.jpeg" for number in range(IMAGES // 2)], 0),
        *xrays([f"person{n // 2}_virus_{n}.jpeg" for n in range(IMAGES // 2)], 1),
    ]
    features = torch.randn(IMAGES, 512, generator=torch.Generator().manual_seed(9))
    return EvaluationSet("made up", images, features)


def test_a_protocol_tells_what_was_scored_and_draws_what_is_shown(held_out):
    names = ["central", "federated", *(f"hospital_{k}" for k in range(1, 31))]
    models = heads(len(names), 1)
    temperatures = sections.temperatures(held_out, models)
    protocol = sections.protocol(held_out, models, names, temperatures)
    check(protocol, schema.Protocol)
    assert (protocol["n"], protocol["patients"]) == (IMAGES, IMAGES // 2)
    assert protocol["description"] == "made up"
    scores = held_out.probabilities(models)
    for row, name in zip(scores, names, strict=True):
        assert protocol["models"][name]["auc"]["value"] == pytest.approx(roc_auc_score(TRUTH, row))
    drawn = [name for name in names if "roc" in protocol["models"][name]]
    assert len(drawn) == 12 and drawn[:2] == ["central", "federated"]


def test_temperatures_come_with_reliability_before_and_after(held_out):
    names = ["central", "federated", "hospital_1"]
    models = heads(len(names), 1)
    temperatures = sections.temperatures(held_out, models)
    told = sections.reliability(
        temperatures, {"validation": held_out, "test": held_out}, models, names
    )
    check(told, schema.TemperatureScaling)
    protocol = sections.protocol(held_out, models, names, temperatures)
    for name in names:
        entry = told["models"][name]
        assert entry["validation"] == entry["test"]
        assert entry["test"]["after"]["log_loss"] < entry["test"]["before"]["log_loss"]
        before, after = (protocol["models"][name][at] for at in ("calibration", "calibrated"))
        assert sum(before["count"]) == sum(after["count"]) == IMAGES
        assert before != after


def test_every_round_has_its_own_scores_and_bytes(held_out):
    state = federation()
    rounds = sections.rounds(state, held_out)
    check(rounds, list[schema.Round])
    assert [entry["round"] for entry in rounds] == [1, 2, 3]
    for entry, row in zip(rounds, held_out.probabilities(Heads.of(state.models)), strict=True):
        accuracy = entry["validation"]["accuracy"]["value"]
        assert accuracy == pytest.approx(accuracy_score(TRUTH, row >= 0.5))
        assert entry["bytes_up"] == {"hospital_1": 101, "hospital_2": 102}
        assert entry["bytes_down"] == {"hospital_1": 100, "hospital_2": 100}


def test_each_format_is_told_with_its_own_bytes_and_scores(held_out):
    federations = {"fp32": federation(1, 1000), "fp16": federation(2, 500)}
    told = sections.communication(
        federations, "fp16", 40_000, {"validation": held_out, "test": held_out}
    )
    check(told, schema.Communication)
    assert (told["sent"], told["rounds"], told["hospitals"]) == ("fp16", ROUNDS, HOSPITALS)
    assert list(told["formats"]) == ["full_fp32", "fp32", "fp16"]
    assert told["formats"]["full_fp32"]["update_bytes"] == 40_000
    for name, state in federations.items():
        head = held_out.score(Heads.of(state.model), ["x"])["x"]
        assert told["formats"][name]["metrics"] == {"validation": head, "test": head}
    assert told["formats"]["fp32"]["run_bytes"] == ROUNDS * (1001 + 1002 + 1000 + 1000)
    assert told["formats"]["fp16"]["run_bytes"] == ROUNDS * (501 + 502 + 500 + 500)


def test_versions_name_what_decides_the_numbers():
    versions = sections.versions()
    assert {"fedmed", "python", "torch", "numpy", "scikit-learn"} <= set(versions)
    assert versions["torch"].split("+")[0] == torch.__version__.split("+")[0]


def test_a_library_that_is_not_installed_has_no_version(monkeypatch):
    """A hospital's environment has no torchvision."""

    def installed(name):
        if name == "torchvision":
            raise PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(sections, "version", installed)
    assert set(sections.versions()) >= {"fedmed", "python", "torch"}
    assert "torchvision" not in sections.versions()

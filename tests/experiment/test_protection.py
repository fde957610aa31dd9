"""Protected runs, from X-rays to the report."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import train
from fedmed.experiment import score
from fedmed.experiment.settings import Settings
from fedmed.federated.state import State
from fedmed.privacy import public_centre
from fedmed.snapshot.reader import Snapshot
from tests.support.runs import tensors

pytestmark = pytest.mark.slow


def test_a_private_run_promises_and_pays_and_goes_on_with_what_was_sent(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(public_centre, "PATIENTS", 12)
    private = replace(settings, epsilon=3.0, audit=True, examples=0)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(score, "score", die)
        assert train.run(private) == 130
    assert "round 2 in fp32, round 2 without privacy" in capsys.readouterr().err
    kept = private.partial / "fp32.safetensors"
    federation, whole = State.load(kept), kept.read_bytes()
    kept.unlink()
    assert train.run(replace(private, resume=True)) == 2
    assert "training that round again would spend its privacy twice" in capsys.readouterr().err
    # Noise has no seed: the same bits, because what was sent is kept.
    kept.write_bytes(whole)
    assert train.run(replace(private, resume=True)) == 0
    head = Snapshot.open(private.output).heads().weight[1]
    assert torch.equal(head, federation.model["weight"])
    report = Snapshot.open(private.output).report
    privacy = report["privacy"]
    promise = privacy["differential"]
    assert (promise["epsilon"], promise["delta"], promise["steps"]) == (3.0, 1e-5, 2)
    assert promise["hospital"]["void"]
    price = privacy["price"]["test"]["auc"]
    federated = report["protocols"]["test"]["models"]["federated"]
    assert price["private"] == federated["auc"]
    sent = report["communication"]
    assert set(sent["unfinished"]) == {"fp16", "int8"}
    assert privacy["audit"]["canaries"]["at_least"] <= 3.0
    assert set(privacy["audit"]["membership"]["models"]) == {
        "central", "federated", "hospital_1", "hospital_2", "hospital_3",
    }  # fmt: skip


def test_a_masked_run_ends_as_a_plain_one_but_for_rounding(settings: Settings) -> None:
    masked = replace(settings, secure_aggregation=True, examples=0)
    assert train.run(masked) == 0
    hidden = Snapshot.open(masked.output)
    told = hidden.report["communication"]
    assert told["sent"] == "masked" and set(told["unfinished"]) == {"fp32", "fp16", "int8"}
    assert hidden.report["privacy"]["secure_aggregation"]["setup_bytes"] == {"up": 32, "down": 64}
    plain = replace(settings, examples=0)
    assert train.run(plain) == 0
    opened = Snapshot.open(plain.output)
    assert float((hidden.heads().weight - opened.heads().weight).abs().max()) < 1e-5
    assert "privacy" not in opened.report
    assert tensors(plain.output)["central_model.safetensors"]

"""Protected runs, from X-rays to the report."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import train
from fedmed.experiment.settings import Settings
from fedmed.report import document
from fedmed.snapshot.reader import Snapshot
from tests.support.runs import tensors

pytestmark = pytest.mark.slow


def test_a_private_run_promises_and_pays_and_goes_on_with_the_same_bits(
    settings: Settings, monkeypatch: Any
) -> None:
    private = replace(settings, epsilon=3.0, audit=True, examples=0)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(document, "build", die)
        assert train.run(private) == 130
    # Noise has no seed: the same bits, because what was sent is kept.
    assert (private.partial / "sent.safetensors").exists()
    (private.partial / "fp32.safetensors").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(document, "build", die)
        assert train.run(replace(private, resume=True)) == 2, "a round before would be sent twice"
    assert train.run(private) == 0
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

"""The bytes that a federation sent, and the report's summary of them."""

from __future__ import annotations

import json

import pytest
import torch

from fedmed.federated.ledger import Ledger, full_model_bytes, summary


def test_a_ledger_grows_by_rounds_and_is_plain_data():
    empty = Ledger()
    one = empty.after(up={"a": 3, "b": 4}, down={"a": 5, "b": 5})
    two = one.after(up={"a": 1, "b": 1}, down={"a": 1, "b": 1})
    assert (len(empty.up), len(one.up), len(two.up)) == (0, 1, 2)
    assert sum(one.messages) == 17
    assert Ledger(**json.loads(json.dumps({"up": two.up, "down": two.down}))) == two


def test_a_whole_resnet18_costs_45_megabytes():
    torchvision = pytest.importorskip("torchvision")
    with torch.device("meta"):
        model = torchvision.models.resnet18(num_classes=2)
    assert sum(parameter.numel() for parameter in model.parameters()) == 11_177_538
    assert full_model_bytes(model.state_dict()) == 4 * (11_177_538 + 9_600)
    assert full_model_bytes(model.half().state_dict()) == 4 * (11_177_538 + 9_600)


def test_summary_measures_what_was_sent_and_computes_the_whole_model():
    message = {"hospital_1": 100, "hospital_2": 100}
    ledger = Ledger().after(up=message, down=message).after(up=message, down=message)
    formats = summary({"fp32": ledger, "int8": ledger}, full_model=1000)
    assert list(formats) == ["full_fp32", "fp32", "int8"]
    costs = ("measured", "update_bytes", "round_bytes", "run_bytes")
    assert [formats["full_fp32"][cost] for cost in costs] == [False, 1000, 4000, 8000]
    assert [formats["int8"][cost] for cost in costs] == [True, 100, 400, 800]
    assert formats["int8"]["title"] == "Head, INT8"


def test_an_update_is_what_a_hospital_sends_though_more_may_go_to_and_fro():
    usual = {"hospital_1": 100, "hospital_2": 100}
    ledger = Ledger().after(up=usual, down=usual).after(up=usual, down=usual)
    ledger = ledger.after(up={"hospital_1": 200}, down={"hospital_1": 300})  # it had been away
    told = summary({"fp32": ledger}, full_model=1000)["fp32"]
    assert told["update_bytes"] == 100 and told["run_bytes"] == 800 + 500


def test_whoever_was_asked_in_any_round_counts() -> None:
    first = Ledger().after(up={"a": 1}, down={"a": 9, "b": 9})
    assert first.hospitals == 2
    assert first.after(up={"c": 1}, down={"a": 9, "c": 9}).hospitals == 3

"""What is told of a federation between machines, and of no other."""

from __future__ import annotations

import pytest

from fedmed.errors import UserError
from fedmed.report import document
from fedmed.report.card import model_card
from fedmed.report.machines_facts import machines_facts, machines_section
from tests.support.reports import example_config, example_report

FEDERATION = {
    "engine": "Flower",
    "version": "1.42.0",
    "hospitals": ["hospital_1", "hospital_2"],
    "rounds": [
        {"round": 1, "hospitals": ["hospital_1", "hospital_2"], "missing": {}},
        {"round": 2, "hospitals": ["hospital_1"], "missing": {"hospital_2": "it went away"}},
    ],
    "tls": True,
    "authentication": "a key",
    "privacy": "none",
}


def test_who_was_away_and_how_it_is_guarded():
    facts = machines_facts({"federation": FEDERATION})
    assert facts["Engine"] == "Flower 1.42.0"
    assert facts["Rounds with every hospital"] == "1 of 2"
    assert facts["Round 2"] == "without Hospital 2 (it went away)"
    assert facts["Connections"] == "encrypted (TLS)"
    open_ = machines_facts({"federation": FEDERATION | {"tls": False}})
    assert open_["Connections"] == "not encrypted"


def test_a_federation_in_one_process_says_nothing_of_machines():
    assert machines_facts({}) == machines_facts({"federation": {"poison": None}}) == {}
    assert machines_section({}) == ""


def test_the_card_tells_it():
    report = example_report()
    report["federation"] = FEDERATION
    card = model_card(document.validate(report), example_config(), None)
    assert "## Between machines" in card and "make hospitals" in card
    assert "without Hospital 2 (it went away)" in card


@pytest.mark.parametrize(
    ("field", "value"),
    [("rounds", [{"round": 0, "hospitals": ["a"], "missing": {}}]), ("tls", "yes"), ("engine", 7)],
)
def test_fields_of_another_kind_are_refused(field, value):
    report = example_report()
    report["federation"] = FEDERATION | {field: value}
    with pytest.raises(UserError, match=f"federation.{field}"):
        document.validate(report)

"""Who may take part."""

from __future__ import annotations

import pytest

from fedmed.errors import UserError
from fedmed.flower.record import Record
from fedmed.flower.roster import in_order
from tests.support.machines import LocalWire, coordinator, hospitals


def test_names_are_in_the_order_people_count():
    assert in_order(["hospital_10", "b", "hospital_2", "7"]) == [
        "7",
        "b",
        "hospital_2",
        "hospital_10",
    ]


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (
            {"hospital": "hospital_1"},
            "another node joined under this name|registered as hospital_3",
        ),
        ({"hospital": "a b\n"}, "not made of letters"),
        ({"images": [0, 0]}, "no counts"),
        ({"images": [-1, 5]}, "no counts"),
        ({"images": "many"}, "no counts"),
        ({"images": [True, 5]}, "no counts"),
        ({"labels": [1, 0]}, "other fields"),
    ],
)
def test_who_answers_wrongly_is_refused_and_named(told, why, tmp_path):
    def spoil(node, kind, message, answer):
        return answer | told if kind == "join" and node == 103 else answer

    wire = LocalWire(hospitals(tmp_path), spoil)
    with pytest.raises(UserError, match=f"2 of 3 hospitals are there .*refused: .*({why})"):
        coordinator(wire, tmp_path / "out").run()


def test_who_tells_counts_of_xrays_to_a_private_run_is_refused(tmp_path):
    def spoil(node, kind, message, answer):
        return answer | {"images": [3, 4]} if kind == "join" and node == 103 else answer

    wire = LocalWire(hospitals(tmp_path), spoil)
    with pytest.raises(UserError, match="which of a private run leave no hospital"):
        coordinator(wire, tmp_path / "out", epsilon=3.0).run()


@pytest.mark.parametrize("registered", ["hospital_2", ""])
def test_a_name_is_the_one_its_key_is_registered_under(registered, tmp_path):
    wire = LocalWire(hospitals(tmp_path), registered={103: registered})
    run = coordinator(wire, tmp_path / "out", rounds=1, min_hospitals=2)
    if registered:
        with pytest.raises(UserError, match="its key is registered as hospital_2"):
            run.run()
        return
    run.run()
    assert Record.load(tmp_path / "out").authentication == "none"


def test_the_record_says_how_hospitals_are_known_and_connected(tmp_path):
    wire = LocalWire(hospitals(tmp_path))
    coordinator(wire, tmp_path / "out", rounds=1).run()
    record = Record.load(tmp_path / "out")
    assert record.authentication.startswith("every hospital signs")
    assert record.tls and record.finished and (record.engine, record.version) == ("memory", "1.0")
    wire.tls = False
    coordinator(wire, tmp_path / "out", rounds=1).run()

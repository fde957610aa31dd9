"""A federation between machines is run again in one process, and held against its model."""

from __future__ import annotations

import pytest

from fedmed import replay
from fedmed.flower.coordinator import STATE
from fedmed.flower.premises import Premises
from tests.support.machines import MIXES
from tests.support.machines_report import BACKBONE, WidePremises, federation

NAMES = ["hospital_1", "hospital_2", "hospital_3"]
PLACES = [f"{name}=data" for name in NAMES]


@pytest.fixture
def at_hand(monkeypatch, tmp_path):
    """Every hospital's X-rays are here, and a federation that ended."""

    def open_(name, place, home):
        return WidePremises(name, MIXES[NAMES.index(name)], home, backbone=BACKBONE)

    monkeypatch.setattr(Premises, "open", open_)
    return tmp_path


def test_it_ends_with_the_same_model(at_hand, capsys):
    federation(at_hand)
    assert replay.main([str(at_hand), *reversed(PLACES)]) == 0
    assert "the same model, to the last bit" in capsys.readouterr().out


def test_a_model_that_differs_in_a_bit_is_told(at_hand, capsys):
    _, state = federation(at_hand)
    for tensor in state.server.values():
        tensor.view(-1)[:1] += 1e-6
    for tensor in state.models.values():
        tensor.view(-1)[-1:] += 1e-6
    state.save(at_hand / STATE)
    assert replay.main([str(at_hand), *PLACES]) == 2
    assert "of the model differs by" in capsys.readouterr().err


def test_it_needs_a_run_that_ended_and_all_its_hospitals(at_hand, capsys):
    assert replay.main([str(at_hand), *PLACES]) == 2
    assert "no federation that ended" in capsys.readouterr().err
    federation(at_hand)
    assert replay.main([str(at_hand), *PLACES[:2]]) == 2
    assert "hospital_1=DATA hospital_2=DATA hospital_3=DATA" in capsys.readouterr().err


def test_a_private_run_cannot_be_run_again(at_hand, capsys):
    federation(at_hand, algorithm="class-means", epsilon=3.0)
    assert replay.main([str(at_hand), *PLACES]) == 2
    assert "its noise was drawn once" in capsys.readouterr().err

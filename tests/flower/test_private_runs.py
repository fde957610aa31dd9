"""Differential privacy between machines: noise is made at the hospital, and once."""

from __future__ import annotations

import json
import shutil
import threading
import time

import numpy as np
import pytest
import torch

from fedmed.experiment.choices import NEED_THREE, PRIVATE
from fedmed.flower import budget
from fedmed.flower.hospital import UNABLE
from fedmed.flower.record import Record
from fedmed.flower.replay import replay
from fedmed.privacy import noise, private_means, private_training
from fedmed.privacy.mechanism import CLIP, Mechanism
from tests.support.machines import (
    SPACE,
    WIDTH,
    LocalWire,
    asked_of,
    coordinator,
    hospitals,
    killed,
    same,
    sites,
    watched,
)
from tests.support.patients import of

PRIVATELY = {"epsilon": 3.0}


@pytest.fixture
def silent(monkeypatch):
    """No noise, and the standard deviations that were asked for."""
    asked: list[float] = []

    def none(exact: np.ndarray, scale: float) -> np.ndarray:
        asked.append(scale)
        return exact.astype(np.float64)

    monkeypatch.setattr(private_training, "add_noise", none)
    monkeypatch.setattr(private_means, "add_noise", none)
    return asked


@pytest.fixture
def drawn(monkeypatch):
    """How often noise was drawn."""
    counted: list[float] = []

    def count(exact: np.ndarray, scale: float) -> np.ndarray:
        counted.append(scale)
        return noise.add_noise(exact, scale)

    monkeypatch.setattr(private_training, "add_noise", count)
    monkeypatch.setattr(private_means, "add_noise", count)
    return counted


def in_process(folder):
    patients = [of(site) for site in sites()]
    record = Record.load(folder)
    return replay(record, patients, width=WIDTH, simulated=True, space=SPACE)


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("algorithm", PRIVATE)
def test_without_its_noise_it_ends_with_the_bits_of_the_run_in_one_process(
    algorithm, secure, tmp_path, silent
):
    if secure and algorithm in NEED_THREE:
        return
    wire = LocalWire(hospitals(tmp_path))
    options = {"algorithm": algorithm, "secure_aggregation": secure, **PRIVATELY}
    state = coordinator(wire, tmp_path / "out", **options).run()
    scales = [*silent]
    expected = in_process(tmp_path / "out")
    assert same(state.model, expected.model)
    assert state.ledger == expected.ledger
    assert silent[len(scales) :] == scales, "the noise is of the same size"
    means = algorithm == "class-means"
    mechanism = (
        Mechanism.of_means(3.0, 1e-5)
        if means
        else Mechanism.of(3.0, 1e-5, 3 * 2, patients=235, hospitals=3)
    )
    assert set(scales) == {mechanism.noise}
    # Weight and bias of each of 6 steps at 3 hospitals, or one release of each.
    assert len(scales) == (3 if means else 3 * 6 * 2)


def test_two_runs_draw_two_noises(tmp_path):
    heads = [
        coordinator(LocalWire(hospitals(tmp_path / run)), tmp_path / run / "out", **PRIVATELY)
        .run()
        .model
        for run in "ab"
    ]
    assert not same(*heads)
    record = Record.load(tmp_path / "a" / "out")
    assert record.public == [235, 3] and record.class_weights == [1.0, 1.0]
    assert "(3, 1e-05)-differentially private" in record.privacy


@pytest.mark.parametrize("secure", [False, True])
def test_a_round_asked_for_twice_is_answered_with_the_same_bytes(secure, tmp_path, drawn, capsys):
    """Whatever the coordinator says differently the second time."""
    wire = LocalWire(hospitals(tmp_path))
    kept = asked_of(wire)
    coordinator(wire, tmp_path / "out", secure_aggregation=secure, **PRIVATELY).run()
    drawings = len(drawn)
    message, answer = kept[3]
    lies = [
        {},
        {"broadcast": kept[1][0]["broadcast"]},
        {"public": [10_000_000, 1]},
        {"class_weights": [100.0, 0.01]},
        {"hospitals": ["hospital_1"]} if not secure else {},
        {"counted": 0, "held": kept[1][0]["broadcast"]},
    ]
    for lie in lies:
        assert wire.there[0].answer("train", message | lie) == answer
    earlier = wire.there[0].answer("train", kept[2][0] | {"counted": 0, "held": b""})
    assert earlier["refusal"] == UNABLE
    assert "training that round again would spend its privacy twice" in capsys.readouterr().out
    assert len(drawn) == drawings


def test_one_round_asked_for_at_the_same_time_twice_is_trained_once(tmp_path, monkeypatch):
    """Flower starts a process for each message."""
    wire = LocalWire(hospitals(tmp_path))
    kept = asked_of(wire)
    coordinator(wire, tmp_path / "out", **PRIVATELY).run()
    shutil.rmtree(tmp_path / "hospital_1")

    def slow(exact, scale):
        time.sleep(0.02)
        return noise.add_noise(exact, scale)

    monkeypatch.setattr(private_training, "add_noise", slow)
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(wire.there[0].answer("train", kept[1][0])))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers[0] == answers[1] == answers[2] and "update" in answers[0]


def test_what_was_sent_is_not_trained_again_where_it_is_gone(tmp_path, drawn, capsys):
    wire = LocalWire(hospitals(tmp_path))
    kept = asked_of(wire)
    coordinator(wire, tmp_path / "out", **PRIVATELY).run()
    drawings = len(drawn)
    next((tmp_path / "hospital_1" / "privacy").glob("*.safetensors")).unlink()
    assert wire.there[0].answer("train", kept[3][0])["refusal"] == UNABLE
    assert "would spend its privacy twice" in capsys.readouterr().out
    assert len(drawn) == drawings


@pytest.mark.parametrize(
    "lie", [{"epsilon": 8.0}, {"epsilon": 0.0}, {"rounds": 300}, {"algorithm": "scaffold"}]
)
def test_the_terms_of_a_run_do_not_change(lie, tmp_path):
    wire = LocalWire(hospitals(tmp_path))
    kept = asked_of(wire)
    coordinator(wire, tmp_path / "out", **PRIVATELY).run()
    message, _ = kept[3]
    other = json.dumps(json.loads(message["terms"]) | lie)
    answer = wire.there[0].answer("train", message | {"terms": other})
    assert "had other terms when it began here" in answer["refusal"]


@pytest.mark.parametrize("public", [None, [3], [0, 0], [2, 3], ["x", 1], [10**12, 1]])
def test_numbers_of_everybody_that_are_none_are_refused(public, tmp_path):
    wire = LocalWire(hospitals(tmp_path))
    kept = asked_of(wire)
    coordinator(wire, tmp_path / "out", **PRIVATELY).run()
    answer = wire.there[0].answer("train", kept[3][0] | {"public": public})
    assert "refusal" in answer and answer["refusal"] != UNABLE


def test_what_everybody_is_told_does_not_change_the_noise(tmp_path, silent):
    """How long a step is follows from it, and not how private it is."""
    wire = LocalWire(hospitals(tmp_path))
    kept = asked_of(wire)
    coordinator(wire, tmp_path / "out", **PRIVATELY).run()
    scales = set(silent)
    shutil.rmtree(tmp_path / "hospital_1")
    silent.clear()
    wire.there[0].answer("train", kept[1][0] | {"public": [9_000_000, 1]})
    assert set(silent) == scales
    assert scales == {CLIP * Mechanism.of(3.0, 1e-5, 6, patients=1, hospitals=1).noise_multiplier}


@pytest.mark.parametrize("killed_after", ["record", "state"])
@pytest.mark.parametrize("secure", [False, True])
def test_a_coordinator_that_is_killed_gets_what_was_sent_and_nothing_new(
    killed_after, secure, tmp_path, drawn
):
    wire = LocalWire(hospitals(tmp_path))
    options = {"secure_aggregation": secure, **PRIVATELY}
    with killed(saved=killed_after == "state"):
        coordinator(wire, tmp_path / "out", **options).run()
    assert len(drawn) == 2 * 6 * 2
    kept = asked_of(wire)
    state = coordinator(wire, tmp_path / "out", **options).run()
    assert len(drawn) == 3 * 6 * 2, "round 2 was drawn once"
    assert state.round == 3
    assert set(kept) == ({2, 3} if killed_after == "record" else {3})


def test_a_round_without_a_hospital_hides_the_same_noisy_updates_again(tmp_path, drawn):
    def away_in_round_2(node, kind, message, answer):
        gone = kind == "train" and message["round"] == 2 and node == 102
        return {"hospital": "hospital_2", "refusal": "I am away"} if gone else answer

    there = hospitals(tmp_path, [(20, 60), (30, 30), (70, 25), (40, 50)])
    options = {"min_hospitals": 3, "secure_aggregation": True, **PRIVATELY}
    state = coordinator(LocalWire(there, away_in_round_2), tmp_path / "out", **options).run()
    assert state.round == 3
    assert len(drawn) == 4 * 6 * 2  # weight and bias, 2 steps in 3 rounds, at 4 hospitals


def test_a_patient_counts_once_however_many_hospitals_weigh(tmp_path):
    """The mean's weights are patients, as the coordinator was told them."""
    run = coordinator(LocalWire(hospitals(tmp_path)), tmp_path / "out", **PRIVATELY)
    run.run()
    assert run._samples(["hospital_1", "hospital_3"]).tolist() == [80.0, 95.0]
    assert torch.is_tensor(run._samples(["hospital_2"]))


def test_what_is_counted_leaves_with_noise_or_not_at_all(tmp_path, monkeypatch):
    asked = []

    def one_more(exact, epsilon, delta):
        asked.append((exact, epsilon, delta))
        return [count + 1 for count in exact]

    monkeypatch.setattr(budget, "release", one_more)
    wire, seen = watched(hospitals(tmp_path))
    run = coordinator(wire, tmp_path / "out", **PRIVATELY)
    run.run()
    assert asked == [([2, 1, 0, 4], 3.0, 1e-5)] * 3
    assert run.record.evaluation["hospital_2"] == [3, 2, 1, 5]
    joined = [answer for kind, answer in seen if kind == "join"]
    assert all(answer["images"] == answer["held_out"] == [] for answer in joined)
    assert [answer["patients"] for answer in joined] == [80, 60, 95]

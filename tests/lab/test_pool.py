"""Runs in worker processes: shared, cancelled, refused."""

from __future__ import annotations

import time

import pytest

from fedmed.errors import UserError
from fedmed.lab import pool as module
from fedmed.lab.pool import Pool
from tests.support.lab import write_lab

LONG = {"rounds": 100, "local_epochs": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_lab(tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="module")
def pool():
    found = Pool(workers=1)
    yield found
    found.stop()


def test_a_run_streams_its_rounds_and_ends_with_a_summary(pool, folder):
    events = [event for event in pool.run(folder, {"rounds": 2}, "somebody") if event]
    assert [event.get("round") for event in events] == [1, 2, None]
    assert events[-1]["summary"]["settings"]["rounds"] == 2


def test_what_cannot_be_dealt_is_said_and_the_worker_goes_on(pool, folder):
    with pytest.raises(UserError, match="lower"):
        list(pool.run(folder, {"hospitals": 50}, "somebody"))
    assert [event for event in pool.run(folder, {"rounds": 1}, "somebody") if event]


def test_who_leaves_frees_the_worker_for_the_next(pool, folder, monkeypatch):
    read, answers = module._Worker._read, []

    def counted(worker):
        answers.append(read(worker))
        return answers[-1]

    monkeypatch.setattr(module._Worker, "_read", counted)
    left = pool.run(folder, LONG, "somebody")
    while next(left) is None:
        pass
    left.close()
    assert [event for event in pool.run(folder, {"rounds": 1}, "another") if event]
    assert len(answers) < 50  # of a hundred rounds


def test_a_run_that_takes_too_long_is_ended_and_told_why(pool, folder, monkeypatch):
    monkeypatch.setattr(module, "LONGEST", 0.2)
    with pytest.raises(UserError, match="too busy for so long a run"):
        list(pool.run(folder, LONG | {"rounds": 100, "local_epochs": 6}, "somebody"))
    monkeypatch.undo()
    assert [event for event in pool.run(folder, {"rounds": 1}, "another") if event]


def test_a_worker_that_dies_is_a_sentence_and_is_replaced(pool, folder):
    events = pool.run(folder, LONG, "somebody")
    while not pool._idle:  # the run before may not have handed it back yet
        time.sleep(0.01)
    worker = pool._idle[-1]
    while next(events) is None:
        pass
    worker._process.kill()
    with pytest.raises(UserError, match="ended"):
        list(events)
    assert [event for event in pool.run(folder, {"rounds": 1}, "somebody") if event]


def test_one_client_cannot_take_all_places(pool, folder, monkeypatch):
    monkeypatch.setattr(module, "MOST", 2)
    first = pool.run(folder, LONG, "greedy")
    next(first)
    with pytest.raises(UserError, match="runs are under way"):
        next(pool.run(folder, {}, "greedy"))
    modest = pool.run(folder, {}, "modest")
    next(modest)  # finds the place that was left free
    with pytest.raises(UserError, match="too many runs under way"):
        next(pool.run(folder, {}, "third"))
    first.close()
    modest.close()

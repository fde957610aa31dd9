"""Threads that share runs: who goes together, where, and what an error reaches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from fedmed.inference.batching import Batched


class Held:
    """Work that is held up until `go`, and notes what came together and on which thread."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.runs: list[list[int]] = []
        self.threads: set[int] = set()

    def __call__(self, items: list[int]) -> list[int]:
        self.runs.append(items)
        self.threads.add(threading.get_ident())
        assert self.go.wait(30)
        if -1 in items:
            raise ValueError("minus one")
        return [10 * item for item in items]


def until(true: Callable[[], bool]) -> None:
    given_up = time.monotonic() + 30
    while not true():
        assert time.monotonic() < given_up
        time.sleep(0.002)


def asked(work: Held, most: int, items: list[int]) -> list[Future[int]]:
    """The first item's run is under way when the others arrive, in this order."""
    batched = Batched(work, most)
    with ThreadPoolExecutor(len(items)) as callers:
        answers = [callers.submit(batched, items[0])]
        until(lambda: work.runs == [[items[0]]])
        for place, item in enumerate(items[1:], start=1):
            answers.append(callers.submit(batched, item))
            until(lambda waiting=place: len(batched._waiting) == waiting)
        work.go.set()
    return answers


def test_what_waits_goes_together_and_each_gets_its_own():
    work = Held()
    answers = asked(work, 8, [0, 1, 2, 3, 4])
    assert work.runs == [[0], [1, 2, 3, 4]]
    assert [answer.result() for answer in answers] == [0, 10, 20, 30, 40]
    assert len(work.threads) == 1 and threading.get_ident() not in work.threads


def test_no_more_than_the_limit():
    work = Held()
    answers = asked(work, 2, [0, 1, 2, 3, 4, 5])
    assert work.runs == [[0], [1, 2], [3, 4], [5]]
    assert [answer.result() for answer in answers] == [0, 10, 20, 30, 40, 50]


def test_an_error_reaches_that_run_and_no_other():
    work = Held()
    answers = asked(work, 2, [0, 1, -1, 3])
    assert work.runs == [[0], [1, -1], [3]]
    for place in (1, 2):
        with pytest.raises(ValueError, match="minus one"):
            answers[place].result()
    assert (answers[0].result(), answers[3].result()) == (0, 30)


def test_work_that_answers_too_little_leaves_nobody_waiting():
    batched = Batched(lambda items: [], 4)
    with pytest.raises(ValueError):
        batched(1)

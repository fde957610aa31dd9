"""Jobs side by side, and what becomes of those still to come when one fails."""

from __future__ import annotations

import threading

import pytest

from fedmed.parallel import with_the_next


def test_two_go_on_at_once_and_come_in_order() -> None:
    met = threading.Barrier(2, timeout=30)

    def work(job: int) -> int:
        if job < 2:
            met.wait()  # for the other, which therefore has begun
        return 10 * job

    assert list(with_the_next(work, range(5))) == [0, 10, 20, 30, 40]


def test_no_more_than_two_are_begun_before_the_first_is_asked_for_and_one_more_after_each() -> None:
    begun: list[int] = []
    done = with_the_next(lambda job: begun.append(job) or job, range(9))
    for asked in range(9):
        assert next(done) == asked
        assert len(begun) <= asked + 3
    assert begun == [*range(9)]


def test_one_alone_stays_in_the_callers_thread() -> None:
    assert list(with_the_next(lambda _: threading.get_ident(), ["one"])) == [threading.get_ident()]


def test_one_that_fails_ends_those_still_to_come_and_waits_for_none() -> None:
    begun, over = [], threading.Event()

    def work(job: int) -> None:
        begun.append(job)
        if job == 0:
            raise KeyboardInterrupt
        over.wait(30)

    with pytest.raises(KeyboardInterrupt):
        list(with_the_next(work, range(9)))
    over.set()
    assert len(begun) <= 2

"""Who gets the next of few slots."""

from __future__ import annotations

import threading
import time

import pytest

from fedmed.uploads.fair_semaphore import FairSemaphore


def served(semaphore: FairSemaphore, first: str, wanted: str) -> str:
    """Who is served in which order, if `wanted` come one after the other while `first` is in."""
    order: list[str] = []

    def want(who: str) -> None:
        with semaphore.turn(who):
            order.append(who)

    threads = [threading.Thread(target=want, args=(who,)) for who in wanted]
    with semaphore.turn(first):
        for number, thread in enumerate(threads, start=1):
            thread.start()
            while len(semaphore._waiting) < number:
                time.sleep(0.001)
    for thread in threads:
        thread.join(10)
    return "".join(order)


@pytest.mark.parametrize(
    ("first", "wanted", "order"),
    [
        ("a", "aaab", "baaa"),  # who asks once does not wait for who asks often
        ("a", "abab", "baba"),
        ("a", "abcb", "bcab"),
        ("a", "bcd", "bcd"),
        ("x", "aab", "aba"),
    ],
)
def test_who_has_fewest_goes_first(first, wanted, order):
    assert served(FairSemaphore(1), first, wanted) == order


def test_no_more_at_once_than_slots_and_nothing_is_left():
    semaphore = FairSemaphore(2)
    now: list[str] = []
    most: list[int] = []

    def work(who: str) -> None:
        with semaphore.turn(who):
            now.append(who)
            most.append(len(now))
            time.sleep(0.002)
            now.remove(who)

    threads = [threading.Thread(target=work, args=(str(n % 3),)) for n in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(most) == 40 and max(most) == 2
    assert not semaphore._turns and not semaphore._waiting and semaphore._free == 2


def test_a_slot_comes_free_whatever_happens_in_it():
    semaphore = FairSemaphore(1)
    for _ in range(2):
        with pytest.raises(ValueError), semaphore.turn("a"):
            raise ValueError
    assert semaphore._free == 1

"""Work spread over the processor's cores, one job to a core."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Job = TypeVar("Job")
Done = TypeVar("Done")


def on_all_cores(work: Callable[[Job], Done], jobs: Sequence[Job]) -> Iterator[Done]:
    """What `work` makes of each job, in their order; every job keeps to one core.

    All of a job runs beside the others, and the bits of a result do not depend on the number of
    cores.
    """
    cores = torch.get_num_threads()
    with ThreadPoolExecutor(cores, initializer=lambda: torch.set_num_threads(1)) as pool:
        try:
            yield from pool.map(work, jobs)
        finally:  # Ctrl-C would otherwise wait for all jobs still to come
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(cores)  # a thread's setting is what threads after it begin with


def with_the_next(work: Callable[[Job], Done], jobs: Sequence[Job]) -> Iterator[Done]:
    """What `work` makes of each job, in their order, each beside the next; one only, right here.

    For work that waits for other processes: no more than two jobs take memory, and a third where
    what was made of one is held on to.
    """
    if len(jobs) < 2:
        yield from map(work, jobs)
        return
    pool = ThreadPoolExecutor(2)
    try:
        waiting = deque(pool.submit(work, job) for job in jobs[:2])
        for following in range(2, len(jobs) + 2):
            waiting[0].result()  # is waited for
            waiting.extend(pool.submit(work, job) for job in jobs[following : following + 1])
            yield waiting.popleft().result()  # which is held on to here no longer
    finally:  # whoever is waited for may have to be told first that it is over
        pool.shutdown(wait=False, cancel_futures=True)


def on_one_core(work: Callable[[], Done]) -> Done:
    """What `work` gives, by one core: the bits of sums depend on how many share them."""
    (done,) = on_all_cores(lambda _: work(), [None])
    return done

"""Calls that arrive together share one run of the work behind them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Batched(Generic[Item, Answer]):
    """Work on many items at once, for threads that have one each.

    What waits when a run begins goes through it together, in the order of arrival, at most `most`
    items; nothing waits for company. All runs are on one thread of their own. What the work raises
    reaches every caller of that run, so what can be wrong with an item belongs before the call.
    """

    def __init__(self, work: Callable[[list[Item]], Sequence[Answer]], most: int) -> None:
        self._work = work
        self._most = most
        self._waiting: deque[tuple[Item, Future[Answer]]] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batched")

    def __call__(self, item: Item) -> Answer:
        """The answer to one item."""
        answer: Future[Answer] = Future()
        self._waiting.append((item, answer))
        self._thread.submit(self._run)
        return answer.result()

    def _run(self) -> None:
        # One run is asked for per item, so nobody is forgotten; those that find nothing are over.
        taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._most))]
        if not taken:
            return
        try:
            pairs = list(zip(taken, self._work([item for item, _ in taken]), strict=True))
        except BaseException as error:  # callers wait for ever for an answer that is not set
            for _, answer in taken:
                answer.set_exception(error)
        else:
            for (_, answer), found in pairs:
                answer.set_result(found)

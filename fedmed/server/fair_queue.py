"""One client cannot keep the others waiting in Gradio's queue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from operator import itemgetter
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from fedmed.server.clients import _counted, client
from fedmed.server.replies import refuse, route

EVENTS = ("/gradio_api/queue/join", "/gradio_api/call/")
WAITING = "Too many X-rays of yours are waiting. Wait for one to be answered, then ask again."


class QueueShare:
    """ASGI middleware: 429 for an event beyond its sender's share of the queue, which takes turns.

    A client may hold as many places as it leaves free. So whoever holds none finds one, unless
    very many clients at once take all they may. And whoever has fewest events at work or ahead in
    the queue comes next in it. An event costs what its file costs to decode: see `uploads.decode`.

    Args:
        make_room: Called with the app before an event joins.
    """

    def __init__(self, app: ASGIApp, make_room: Callable[[Any], object]) -> None:
        self.app = app
        self.make_room = make_room
        self.joining: Counter[str] = Counter()  # let through, not yet in the queue

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asks = scope["type"] == "http" and scope["method"] == "POST"
        if not asks or not route(scope).startswith(EVENTS):
            await self.app(scope, receive, send)
        elif self.is_taken(scope, who := client(scope)):
            await refuse(scope, send, 429, WAITING)
        else:
            self.make_room(scope["app"])
            with _counted(self.joining, who):
                await self.app(scope, receive, send)
            take_turns(scope["app"].get_blocks()._queue)

    def is_taken(self, scope: Scope, who: str) -> bool:
        """Whether a client holds as many places as are free, or more."""
        queue = scope["app"].get_blocks()._queue
        events = [e for one in queue.event_queue_per_concurrency_id.values() for e in one.queue]
        holds = sum(client(event.request.scope) == who for event in events) + self.joining[who]
        taken = len(events) + self.joining.total()
        return holds > 0 and holds >= queue.max_size - taken


def take_turns(queue: Any) -> None:
    """Sort Gradio's queue: first the events of clients who have fewest before them."""
    at_work = [event for job in queue.active_jobs if job for event in job]
    for waiting in queue.event_queue_per_concurrency_id.values():
        ahead = Counter(client(event.request.scope) for event in at_work)
        ranked = []
        for place, event in enumerate(waiting.queue):
            who = client(event.request.scope)
            ranked.append((ahead[who], place, event))
            ahead[who] += 1
        waiting.queue[:] = [event for *_, event in sorted(ranked, key=itemgetter(0, 1))]

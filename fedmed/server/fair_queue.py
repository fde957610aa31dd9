"""One client cannot keep the others waiting in Gradio's queue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from operator import itemgetter
from typing import Any

from gradio.routes import App
from starlette.types import ASGIApp, Receive, Scope, Send

from fedmed.server import gradio_internals
from fedmed.server.clients import client, counted
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

    def __init__(self, app: ASGIApp, make_room: Callable[[App], object]) -> None:
        self.app = app
        self.make_room = make_room
        self.joining: Counter[str] = Counter()  # let through, not yet in the queue

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asks = scope["type"] == "http" and scope["method"] == "POST"
        if not asks or not route(scope).startswith(EVENTS):
            await self.app(scope, receive, send)
        elif self.is_taken(scope["app"], who := client(scope)):
            await refuse(scope, send, 429, WAITING)
        else:
            self.make_room(scope["app"])
            with counted(self.joining, who):
                await self.app(scope, receive, send)
            take_turns(scope["app"])

    def is_taken(self, app: App, who: str) -> bool:
        """Whether a client holds as many places as are free, or more."""
        events = [event for line in gradio_internals.waiting_lines(app) for event in line]
        holds = sum(_client(event) == who for event in events) + self.joining[who]
        taken = len(events) + self.joining.total()
        return holds > 0 and holds >= gradio_internals.queue_capacity(app) - taken


def take_turns(app: App) -> None:
    """Sort Gradio's queue: first the events of clients who have fewest before them."""
    at_work = gradio_internals.running_events(app)
    for line in gradio_internals.waiting_lines(app):
        ahead = Counter(map(_client, at_work))
        ranked = []
        for index, event in enumerate(line):
            who = _client(event)
            ranked.append((ahead[who], index, event))
            ahead[who] += 1
        line[:] = [event for *_, event in sorted(ranked, key=itemgetter(0, 1))]


def _client(event: Any) -> str:
    return client(gradio_internals.scope_of(event))

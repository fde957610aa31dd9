"""One client cannot keep the others from being answered.

A client is an address: what else a request says of its sender, the sender chooses. Behind proxies
it is the nearest address that is not a proxy's, as uvicorn finds it with FORWARDED_ALLOW_IPS.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from operator import itemgetter
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from fedmed.page.surface import refuse, route

OPEN = 200  # requests of one client at once; every open page holds one or two
# The networks a Space is reached from. Visitors come from none of them.
PROXIES = "127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10"
EVENTS = ("/gradio_api/queue/join", "/gradio_api/call/")
BUSY = "Too many requests of yours are open. Wait for one to be answered."
WAITING = "Too many X-rays of yours are waiting. Wait for one to be answered, then ask again."


def trust_proxies(environ: MutableMapping[str, str]) -> None:
    """On a Space, where only proxies can connect, believe what they say of whom they speak for."""
    if "SPACE_ID" in environ:
        environ.setdefault("FORWARDED_ALLOW_IPS", PROXIES)


class Crowd:
    """ASGI middleware: 429 beyond OPEN requests of one client at once."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.open: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif self.open[who := client(scope)] >= OPEN:
            await refuse(scope, send, 429, BUSY)
        else:
            with _counted(self.open, who):
                await self.app(scope, receive, send)


class Share:
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


@contextmanager
def _counted(counter: Counter[str], who: str) -> Iterator[None]:
    counter[who] += 1
    try:
        yield
    finally:
        counter[who] -= 1
        if not counter[who]:
            del counter[who]


def sender(request: Any) -> str:
    """The client of a `gr.Request`; none where a function is called by hand."""
    return client(request.request.scope) if request else ""


def client(scope: Mapping[str, Any]) -> str:
    """The address a request came from; of IPv6, the network that one subscriber gets."""
    host = (scope.get("client") or ("", 0))[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 6 and address.ipv4_mapped:
        return str(address.ipv4_mapped)
    if address.version == 6:
        return str(ipaddress.IPv6Network((int(address), 64), strict=False))
    return host

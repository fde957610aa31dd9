"""Who a client is, and a limit on how many of its requests are open at once.

A client is an address: what else a request says of its sender, the sender chooses. Behind proxies
it is the nearest address that is not a proxy's, as uvicorn finds it with FORWARDED_ALLOW_IPS.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from fedmed.server.replies import refuse

OPEN = 200  # requests of one client at once; every open page holds one or two
# The networks a Space is reached from. Visitors come from none of them.
PROXIES = "127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10"
BUSY = "Too many requests of yours are open. Wait for one to be answered."


def trust_proxies(environ: MutableMapping[str, str]) -> None:
    """Believe a Space's proxies when they name the client: nobody else can connect to it."""
    if "SPACE_ID" in environ:
        environ.setdefault("FORWARDED_ALLOW_IPS", PROXIES)


class RequestLimit:
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
            with counted(self.open, who):
                await self.app(scope, receive, send)


@contextmanager
def counted(counter: Counter[str], who: str) -> Iterator[None]:
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

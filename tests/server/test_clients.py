"""Who a client is, and how many of its requests are open at once."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from fedmed.server import clients
from fedmed.server.clients import PROXIES, RequestLimit, client, trust_proxies


def test_open_requests_are_bounded(monkeypatch):
    monkeypatch.setattr(clients, "OPEN", 3)
    statuses: list[int] = []

    async def app(scope, receive, send):
        await asyncio.sleep(0.05)
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message):
        if "status" in message:
            statuses.append(message["status"])

    async def call():
        limit = RequestLimit(app)
        scopes = [{"type": "http", "client": (who, 1)} for who in "aaaaab"]
        await asyncio.gather(*(limit(scope, _nothing, send) for scope in scopes))
        assert not limit.open

    asyncio.run(call())
    assert Counter(statuses) == {200: 4, 429: 2}


@pytest.mark.parametrize(
    ("host", "who"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("not an address", "not an address"),
    ],
)
def test_who_a_client_is(host, who):
    assert client({"client": (host, 1)}) == who


def test_a_client_without_an_address():
    assert client({"client": None}) == client({}) == ""


def test_on_a_space_the_address_is_the_proxies_word():
    """And not the visitor's, who can put anything before what the nearest proxy adds."""
    from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

    environment = {"SPACE_ID": "fedmed/fedmed"}
    trust_proxies(environment)
    seen = []

    async def app(scope, receive, send):
        seen.append(client(scope))

    behind = ProxyHeadersMiddleware(app, environment["FORWARDED_ALLOW_IPS"])
    for forwarded in ("203.0.113.9", "198.51.100.1, 203.0.113.9, 10.16.3.80", "junk,203.0.113.9"):
        scope = {
            "type": "http",
            "client": ("10.16.3.80", 1),
            "headers": [(b"x-forwarded-for", forwarded.encode())],
        }
        asyncio.run(behind(scope, _nothing, _nothing))
    assert seen == ["203.0.113.9"] * 3


def test_elsewhere_and_where_it_is_set_nothing_changes():
    for environment in ({}, {"SPACE_ID": "a/b", "FORWARDED_ALLOW_IPS": "192.0.2.1"}):
        before = dict(environment)
        trust_proxies(environment)
        assert environment == before
    assert "*" not in PROXIES


async def _nothing(*_):
    pass

"""The guards' own replies, and whether one has begun."""

from __future__ import annotations

import asyncio
import json

import pytest

from fedmed.server.replies import TrackedSend, refuse, route


def test_a_refusal_has_gradios_form() -> None:
    sent: list[dict] = []

    async def send(message):
        sent.append(message)

    asyncio.run(refuse({"type": "http"}, send, 429, "Too many."))
    assert sent[0]["status"] == 429
    assert json.loads(sent[1]["body"]) == {"detail": "Too many."}


def test_a_reply_has_begun_with_its_first_message() -> None:
    sent: list[dict] = []

    async def send(message):
        sent.append(message)

    tracked = TrackedSend(send)
    assert not tracked.has_begun
    asyncio.run(tracked({"type": "http.response.start", "status": 200}))
    assert tracked.has_begun and sent == [{"type": "http.response.start", "status": 200}]


@pytest.mark.parametrize(
    ("scope", "path"),
    [
        ({"path": "/config"}, "/config"),
        ({"path": "/space/config", "root_path": "/space"}, "/config"),
        ({"path": "/config", "root_path": "/space"}, "/config"),
    ],
)
def test_a_proxy_in_front_changes_no_route(scope: dict, path: str) -> None:
    assert route(scope) == path

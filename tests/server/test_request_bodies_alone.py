"""The guard of requests by itself: what it takes, at what pace, and of whom."""

from __future__ import annotations

import asyncio
import errno
import io
import os

import pytest

from fedmed.server import request_bodies
from fedmed.server.request_bodies import MESSAGE, RequestBodies

JOIN = "/gradio_api/queue/join"


def test_a_request_that_stalls_is_given_up(monkeypatch):
    monkeypatch.setattr(request_bodies, "IDLE_SECONDS", 0.01)
    sent: list[dict] = []

    async def app(scope, receive, send):
        pytest.fail("half a request reached the app")

    async def receive():
        await asyncio.sleep(60)

    async def send(message):
        sent.append(message)

    async def accept(scope, size):
        pytest.fail("half an upload was accepted")

    for path in ("/gradio_api/upload", JOIN):
        scope = {"type": "http", "method": "POST", "path": path, "headers": []}
        asyncio.run(RequestBodies(app, accept)(scope, receive, send))
    assert [message["status"] for message in sent if "status" in message] == [408, 408]


async def take(chunks: list[bytes], seconds: float, app=None, who: str = "a") -> list[dict]:
    """What `RequestBodies` answers to an upload whose chunks come so many seconds apart."""
    left, sent = list(chunks), []

    async def receive():
        await asyncio.sleep(seconds)
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    async def send(message):
        sent.append(message)

    async def accept(scope, size):
        pass

    async def taken(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})

    scope = {"type": "http", "method": "POST", "path": "/gradio_api/upload", "headers": []}
    await (app or RequestBodies(taken, accept))(scope | {"client": (who, 1)}, receive, send)
    return sent


def test_a_request_that_trickles_is_given_up(monkeypatch):
    monkeypatch.setattr(request_bodies, "IDLE_SECONDS", 1.5)
    monkeypatch.setattr(request_bodies, "PACE", 100)
    assert asyncio.run(take([b"x"] * 99, 0.02))[0]["status"] == 408
    assert asyncio.run(take([bytes(100)] * 99, 0.02))[0]["status"] == 200, "slow, but it comes"


def test_one_client_cannot_hold_more_than_its_share(monkeypatch):
    """While its other uploads are on their way; another's are taken all the same."""
    monkeypatch.setattr(request_bodies, "SHARE", 2500)
    monkeypatch.setattr(request_bodies, "_parts", lambda *_: 1)
    passed, statuses = asyncio.Event(), []

    async def slow(scope, receive, send):
        await passed.wait()
        await send({"type": "http.response.start", "status": 200})

    async def accept(scope, size):
        pass

    async def flood():
        guard = RequestBodies(slow, accept)
        taken = [asyncio.create_task(take([bytes(1000)], 0, guard)) for _ in range(2)]
        while guard.held["a"] < 2000:
            await asyncio.sleep(0.001)
        statuses.append((await take([bytes(1000)], 0, guard))[0]["status"])
        taken.append(asyncio.create_task(take([bytes(1000)], 0, guard, "b")))
        while guard.held["b"] < 1000:
            await asyncio.sleep(0.001)
        passed.set()
        statuses.extend([sent[0]["status"] for sent in await asyncio.gather(*taken)])
        assert not guard.held

    asyncio.run(flood())
    assert statuses == [429, 200, 200, 200]


def test_what_is_far_too_large_is_not_read_to_its_end(monkeypatch):
    monkeypatch.setattr(request_bodies, "FILE", 1000)
    monkeypatch.setattr(request_bodies, "ENVELOPE", 0)
    chunks = [bytes(100)] * 1000

    async def run():
        left = iter(chunks)
        read = 0

        async def receive():
            nonlocal read
            read += 1
            return {"type": "http.request", "body": next(left), "more_body": True}

        sent: list[dict] = []

        async def send(message):
            sent.append(message)

        async def never(*_):
            pytest.fail("it reached the app")

        scope = {"type": "http", "method": "POST", "path": "/gradio_api/upload", "headers": []}
        await RequestBodies(never, never)(scope, receive, send)
        return read, sent[0]["status"]

    read, status = asyncio.run(run())
    assert status == 413 and 20 <= read <= 25


def test_an_upload_is_announced_before_it_is_given():
    told: list[object] = []

    async def accept(scope, size):
        told.append(size)

    async def app(scope, receive, send):
        told.append("given")
        await send({"type": "http.response.start", "status": 200})

    assert asyncio.run(take([bytes(70)], 0, RequestBodies(app, accept)))[0]["status"] == 200
    assert told == [70, "given"]


def test_an_answer_that_has_begun_is_not_begun_again():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})
        raise OSError(errno.ENOSPC, "full")

    async def accept(scope, size):
        pass

    with pytest.raises(OSError, match="full"):
        asyncio.run(take([b"x"], 0, RequestBodies(app, accept)))


class FullDisk(io.BytesIO):
    def write(self, data) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("whose", ["its own", "Gradio's"])
def test_a_full_disk_is_said_in_a_sentence(whose, monkeypatch, caplog):
    if whose == "its own":
        monkeypatch.setattr(request_bodies.tempfile, "TemporaryFile", FullDisk)

    async def app(scope, receive, send):
        FullDisk().write((await receive())["body"])

    sent: list[dict] = []

    async def receive():
        return {"type": "http.request", "body": b"film", "more_body": False}

    async def send(message):
        sent.append(message)

    async def accept(scope, size):
        pass

    scope = {"type": "http", "method": "POST", "path": "/gradio_api/upload", "headers": []}
    asyncio.run(RequestBodies(app, accept)(scope, receive, send))
    assert sent[0]["status"] == 507 and b"no room" in sent[1]["body"]
    assert "no room for uploads" in caplog.text and "Traceback" not in caplog.text


@pytest.mark.parametrize("size", [0, 1, MESSAGE - 1, MESSAGE])
def test_the_app_gets_every_byte(size):
    whole = bytes(range(256)) * (size // 256 + 1)
    parts = [whole[:size][place : place + 5000] for place in range(0, size, 5000)] or [b""]
    got = b""

    async def app(scope, receive, send):
        nonlocal got
        more = True
        while more:
            message = await receive()
            got += message["body"]
            more = message["more_body"]
        assert (await receive())["type"] == "http.disconnect"

    async def receive():
        if not parts:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def nothing(*_):
        pass

    scope = {"type": "http", "method": "POST", "path": JOIN, "headers": []}
    asyncio.run(RequestBodies(app, nothing)(scope, receive, nothing))
    assert got == whole[:size]

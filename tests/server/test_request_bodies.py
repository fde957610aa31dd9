"""Requests too large, too many-fold, too slow or cut short: of the app, and of the guard alone."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import os
import socket
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from fedmed.page.launch import options
from fedmed.server import request_bodies
from fedmed.server.request_bodies import ENVELOPE, FILE, MESSAGE, RequestBodies
from tests.support.strangers import FILM, Chunks, ask, multipart, upload, works

UPLOAD, JOIN = "/gradio_api/upload", "/gradio_api/queue/join"
MEGABYTE = b"\0" * 2**20
START = multipart(("files", "big.png", FILM))[: -len("\r\n--edge--\r\n")]


@pytest.fixture(scope="module", autouse=True)
def works_afterwards(server):
    yield
    assert works(server)


def test_gradio_is_told_the_same_limit():
    assert options()["max_file_size"] == f"{FILE // 2**20}mb"


def test_a_file_at_the_limit_is_taken(server):
    body = multipart(("files", "big.png", FILM + bytes(FILE - len(FILM))))
    assert upload(server, body).status == 200


@pytest.mark.parametrize(
    "body",
    [
        multipart(("files", "big.png", FILM + bytes(FILE - len(FILM) + 1))),
        multipart(("files", "big.png", bytes(FILE + ENVELOPE))),
        Chunks(MEGABYTE, 80),
        Chunks(MEGABYTE, 300),
    ],
    ids=["a byte", "an envelope", "without length", "far, without length"],
)
def test_larger_files_are_refused(server, body):
    reply = upload(server, body)
    assert reply.status == 413


def test_a_length_that_lies_is_no_way_round(server):
    headers = {"Content-Type": "multipart/form-data; boundary=edge", "Content-Length": "10"}
    assert ask(server, "POST", UPLOAD, START + MEGABYTE, headers).status in (200, 400)


@pytest.mark.parametrize("body", [b'{"data": ["' + b"x" * MESSAGE + b'"]}', Chunks(MEGABYTE, 20)])
@pytest.mark.parametrize("path", [JOIN, "/gradio_api/call/predict", "/gradio_api/reset"])
def test_larger_messages_are_refused(server, path, body):
    assert ask(server, "POST", path, body, {"Content-Type": "application/json"}).status == 413


@pytest.mark.parametrize(
    "body",
    [
        multipart(*[("files", f"{index}.png", b"x") for index in range(2)]),
        multipart(*[("files", f"{index}.png", b"x") for index in range(1000)]),
        multipart(*[("field", None, b"x") for index in range(20_000)]),
        multipart(("files", "film.png", FILM), ("other", "film.png", FILM)),
    ],
    ids=["two", "a thousand", "fields", "another field"],
)
def test_one_file_at_a_time(server, body):
    reply = upload(server, body)
    assert reply.status == 400 and b"One file at a time" in reply.body


@pytest.mark.parametrize(
    ("body", "query"),
    [
        (b"", ""),
        (b"no form at all", ""),
        (multipart(), ""),
        (multipart(("files", None, b"text")), ""),
        (multipart(("files", None, b"text")), "?upload_id=x"),
        (multipart(("files", None, bytes(2**22))), ""),
        (multipart(("f" * 100_000, "a.png", b"x")), ""),
        (multipart(("files", "n" * 100_000, b"x")), ""),
        (b"--edge\r\n" + b"X-Junk: y\r\n" * 10_000 + b"\r\nx\r\n--edge--\r\n", ""),
        (b"--edge\r\nContent-Type: image/png\r\n\r\nx\r\n--edge--\r\n", ""),
        (b"\r\n" * 2**20 + multipart(), ""),
        (b"\r" * 2**21, ""),
    ],
)
def test_forms_that_make_no_sense(server, body, query):
    reply = upload(server, body, query)
    assert reply.status in (200, 400, 413)
    if reply.status == 200:
        assert json.loads(reply.body) == []


@pytest.mark.parametrize("boundary", ["b" * 10_000, "-" * 200, "\\", "a b", ""])
def test_odd_boundaries(server, boundary):
    body = multipart(("files", "film.png", FILM), boundary=boundary)
    assert upload(server, body, boundary=boundary).status in (200, 400)


@pytest.mark.parametrize(
    "kind",
    ["", "multipart/form-data", "multipart/form-data; boundary=", "text/plain", ";" * 10_000],
)
def test_uploads_that_say_nothing_of_their_form(server, kind):
    headers = {"Content-Type": kind}
    assert ask(server, "POST", UPLOAD, b"x", headers).status == 400


def test_an_upload_that_breaks_off_leaves_nothing(server, scratch):
    address = urlsplit(server)
    before = set(_files(scratch))
    for sent in (0, 10, len(START)):
        with socket.create_connection((address.hostname, address.port)) as connection:
            head = (
                f"POST /gradio_api/upload HTTP/1.1\r\nHost: {address.netloc}\r\n"
                f"Content-Type: multipart/form-data; boundary=edge\r\n"
                f"Content-Length: {len(START) + 100}\r\n\r\n"
            )
            connection.sendall(head.encode() + START[:sent])
    assert works(server)  # by when the app has seen the ends of the others
    assert len(set(_files(scratch)) - before) <= 1  # the film of `works`


def _files(scratch: Path) -> list[Path]:
    return [path for path in (scratch / "uploads").rglob("*") if path.is_file()]


def test_while_others_dawdle_the_app_answers(server):
    address = urlsplit(server)
    head = f"POST {JOIN} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 9\r\n\r\n{{"
    dawdlers = [socket.create_connection((address.hostname, address.port)) for _ in range(50)]
    try:
        for connection in dawdlers:
            connection.sendall(head.encode())
        assert works(server)
    finally:
        for connection in dawdlers:
            connection.close()


def test_junk_on_every_route_at_once(server):
    """Of what each caller gets, `ask` looks at every byte."""
    paths = [UPLOAD, JOIN, "/gradio_api/call/predict", "/gradio_api/call/v2/report"]
    paths += ["/gradio_api/cancel", "/gradio_api/reset", "/gradio_api/nosuch"]
    junk = [b"", b"\0" * 1000, b"{" * 1000, b'{"data":' * 1000, multipart(("files", None, b"x"))]
    statuses: list[int] = []

    def call(path: str) -> None:
        for body in junk:
            for kind in ("application/json", "multipart/form-data; boundary=edge", "x/y"):
                headers = {"Content-Type": kind, "X-Forwarded-For": f"203.0.113.{len(statuses)}"}
                statuses.append(ask(server, "POST", path, body, headers).status)

    callers = [threading.Thread(target=call, args=(path,)) for path in paths]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(statuses) == len(paths) * len(junk) * 3
    assert set(statuses) <= {200, 400, 404, 413, 422, 429}


async def accept(size):
    """Every upload is welcome."""


async def answer_ok(scope, receive, send):
    await send({"type": "http.response.start", "status": 200})


async def call(guard: RequestBodies, receive, path: str = UPLOAD, who: str = "a") -> list[dict]:
    """What a guard by itself sends in answer to a request."""
    sent: list[dict] = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "headers": [], "client": (who, 1)}
    await guard(scope, receive, send)
    return sent


def arriving(chunks: list[bytes], seconds: float = 0):
    """A request whose chunks come so many seconds apart."""
    left = list(chunks)

    async def receive():
        await asyncio.sleep(seconds)
        if not left:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    return receive


async def never(*_):
    pytest.fail("half a request was passed on")


@pytest.mark.parametrize("path", [UPLOAD, JOIN])
def test_a_request_that_stalls_is_given_up(monkeypatch, path):
    monkeypatch.setattr(request_bodies, "IDLE_SECONDS", 0.01)
    sent = asyncio.run(call(RequestBodies(never, never), arriving([b"x"], 60), path))
    assert sent[0]["status"] == 408


def test_a_request_that_trickles_is_given_up(monkeypatch):
    monkeypatch.setattr(request_bodies, "IDLE_SECONDS", 1.5)
    monkeypatch.setattr(request_bodies, "PACE", 100)
    guard = RequestBodies(answer_ok, accept)
    assert asyncio.run(call(guard, arriving([b"x"] * 99, 0.02)))[0]["status"] == 408
    slow_but_steady = arriving([bytes(100)] * 99, 0.02)
    assert asyncio.run(call(guard, slow_but_steady))[0]["status"] == 200


def test_one_client_cannot_hold_more_than_its_share(monkeypatch):
    """While its other uploads are on their way; another's are taken all the same."""
    monkeypatch.setattr(request_bodies, "SHARE", 2500)
    passed, statuses = asyncio.Event(), []

    async def slow(scope, receive, send):
        await passed.wait()
        await answer_ok(scope, receive, send)

    async def flood():
        guard = RequestBodies(slow, accept)

        def upload_of(who: str):
            return asyncio.create_task(call(guard, arriving([bytes(1000)]), who=who))

        taken = [upload_of("a"), upload_of("a")]
        while guard.held["a"] < 2000:
            await asyncio.sleep(0.001)
        statuses.append((await upload_of("a"))[0]["status"])
        taken.append(upload_of("b"))
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
    read = 0

    async def receive():
        nonlocal read
        read += 1
        return {"type": "http.request", "body": bytes(100), "more_body": read < 1000}

    sent = asyncio.run(call(RequestBodies(never, never), receive))
    assert sent[0]["status"] == 413 and 20 <= read <= 25


def test_an_upload_is_announced_before_it_is_given():
    told: list[object] = []

    async def announced(size):
        told.append(size)

    async def app(scope, receive, send):
        told.append("given")
        await answer_ok(scope, receive, send)

    sent = asyncio.run(call(RequestBodies(app, announced), arriving([bytes(70)])))
    assert sent[0]["status"] == 200 and told == [70, "given"]


def test_an_answer_that_has_begun_is_not_begun_again():
    async def app(scope, receive, send):
        await answer_ok(scope, receive, send)
        raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match="full"):
        asyncio.run(call(RequestBodies(app, accept), arriving([b"x"])))


class FullDisk(io.BytesIO):
    def write(self, data) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("whose", ["its own", "Gradio's"])
def test_a_full_disk_is_said_in_a_sentence(whose, monkeypatch, caplog):
    if whose == "its own":
        monkeypatch.setattr(request_bodies.tempfile, "TemporaryFile", FullDisk)

    async def app(scope, receive, send):
        FullDisk().write((await receive())["body"])

    sent = asyncio.run(call(RequestBodies(app, accept), arriving([b"film"])))
    assert sent[0]["status"] == 507 and b"no room" in sent[1]["body"]
    assert "no room for uploads" in caplog.text and "Traceback" not in caplog.text


@pytest.mark.parametrize("size", [0, 1, MESSAGE - 1, MESSAGE])
def test_the_app_gets_every_byte(size):
    whole = (bytes(range(256)) * (size // 256 + 1))[:size]
    chunks = [whole[start : start + 5000] for start in range(0, size, 5000)] or [b""]
    got = b""

    async def app(scope, receive, send):
        nonlocal got
        more = True
        while more:
            message = await receive()
            got += message["body"]
            more = message["more_body"]
        assert (await receive())["type"] == "http.disconnect"

    asyncio.run(call(RequestBodies(app, accept), arriving(chunks), JOIN))
    assert got == whole

"""Requests too large, too many-fold, too slow or cut short."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from fedmed.page.launch import options
from fedmed.server.request_bodies import ENVELOPE, FILE, MESSAGE
from tests.support.strangers import FILM, Chunks, ask, multipart, upload, works

JOIN = "/gradio_api/queue/join"
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
    assert ask(server, "POST", "/gradio_api/upload", START + MEGABYTE, headers).status in (200, 400)


@pytest.mark.parametrize("body", [b'{"data": ["' + b"x" * MESSAGE + b'"]}', Chunks(MEGABYTE, 20)])
@pytest.mark.parametrize("path", [JOIN, "/gradio_api/call/predict", "/gradio_api/reset"])
def test_larger_messages_are_refused(server, path, body):
    assert ask(server, "POST", path, body, {"Content-Type": "application/json"}).status == 413


@pytest.mark.parametrize(
    "body",
    [
        multipart(*[("files", f"{place}.png", b"x") for place in range(2)]),
        multipart(*[("files", f"{place}.png", b"x") for place in range(1000)]),
        multipart(*[("field", None, b"x") for place in range(20_000)]),
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
    assert ask(server, "POST", "/gradio_api/upload", b"x", headers).status == 400


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
    paths = ["/gradio_api/upload", JOIN, "/gradio_api/call/predict", "/gradio_api/call/v2/report"]
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

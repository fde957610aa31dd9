"""Events that lie: addresses for files, other people's files, nonsense."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import ValidationError

from fedmed.server.events import ADDRESS, TOO_MANY, UNREAD, Events
from tests.support.app_fixtures import REPOSITORY
from tests.support.strangers import FILM, answer, ask, file, multipart, upload, works

JOIN = "/gradio_api/queue/join"


@pytest.fixture(scope="module", autouse=True)
def works_afterwards(server):
    yield
    assert works(server)


@pytest.fixture
def listener():
    """A server nobody should call: its port, and the calls it got."""
    calls: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        ended = threading.Event()

        def listen() -> None:
            while not ended.is_set():
                try:
                    connection, caller = listening.accept()
                except TimeoutError:
                    continue
                calls.append(caller)
                connection.close()

        thread = threading.Thread(target=listen)
        thread.start()
        yield listening.getsockname()[1], calls
        ended.set()
        thread.join()


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:{}/x.png",
        "http://localhost:{}/x.png",
        "http://[::1]:{}/x.png",
        "http://127.1:{}/x.png",
        "http://2130706433:{}/x.png",
        "http://0x7f.0.0.1:{}/x.png",
        "http://user@127.0.0.1:{}/x.png",
        "https://127.0.0.1:{}/x.png",
        "HTTP://127.0.0.1:{}/x.png",
        " http://127.0.0.1:{}/x.png",
        "ftp://127.0.0.1:{}/x.png",
        "gopher://127.0.0.1:{}/_x",
        "file:///etc/passwd?{}",
        "http://169.254.169.254:{}/latest/meta-data/",
        "https://huggingface.co:{}/",
    ],
)
def test_no_address_is_fetched(server, listener, address):
    port, calls = listener
    image = file(address.format(port))
    for body in ({"data": [image]}, {"data": [{"deep": [image]}]}):
        reply = ask(server, "POST", "/gradio_api/call/predict", body)
        assert reply.status == 422 and ADDRESS in reply.body.decode()
    reply = ask(server, "POST", "/gradio_api/call/v2/predict", {"image": image})
    assert reply.status == 422
    reply = ask(server, "POST", JOIN, {"data": [image], "fn_index": 2, "session_hash": "s"})
    assert reply.status == 422
    assert not calls


def test_an_address_beside_a_file_is_not_fetched(server, listener):
    port, calls = listener
    kept = json.loads(upload(server, multipart(("files", "film.png", FILM))).body)[0]
    reply = answer(server, file(kept, url=f"http://127.0.0.1:{port}/x.png"))
    assert b"probabilities" in reply.body
    assert not calls


def test_the_python_client_says_why(server):
    with pytest.raises(ValidationError, match=ADDRESS):
        Client(server, verbose=False).predict(
            image=handle_file("https://example.com/film.png"), api_name="/predict"
        )


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/proc/self/environ",
        "/dev/zero",
        "../../../../etc/passwd",
        str(REPOSITORY / "examples" / "01_normal.png"),
        "examples/01_normal.png",
        "app.py",
        "C:\\Windows\\win.ini",
        "\\\\127.0.0.1\\share\\x.png",
        "a\0b.png",
        "a" * 5000,
        "",
    ],
)
def test_only_what_was_uploaded_is_read(server, path):
    reply = answer(server, file(path))
    assert b"event: error" in reply.body and b"probabilities" not in reply.body


def test_no_way_out_of_the_uploads(server):
    kept = json.loads(upload(server, multipart(("files", "film.png", FILM))).body)[0]
    reply = answer(server, file(f"{kept}/../../../../../../../../../../../etc/passwd"))
    assert b"event: error" in reply.body


@pytest.mark.parametrize("name", ["../../../x.png", "/etc/x.png", "..\\x.png", "%2e%2e%2fx.png"])
def test_a_name_is_no_path(server, scratch, name):
    kept = json.loads(upload(server, multipart(("files", name, FILM))).body)[0]
    assert str(scratch / "uploads") in kept and ".." not in kept.split("/")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b"[1]",
        b"null",
        b'"text"',
        {},
        {"data": "x"},
        {"data": {"a": 1}},
        {"data": [], "session_hash": "s"},
        {"data": [], "fn_index": 99, "session_hash": "s"},
        {"data": [], "fn_index": -1, "session_hash": "s"},
        {"data": [], "fn_index": "x", "session_hash": "s"},
        {"data": [], "fn_index": 1e300, "session_hash": "s"},
        {"data": [], "fn_index": 0},
        {"data": [], "fn_index": 0, "session_hash": ["s"]},
    ],
)
def test_what_makes_no_sense_is_refused(server, body):
    assert ask(server, "POST", JOIN, body).status in (400, 422)


@pytest.mark.parametrize("body", [b"{", [1], {"image": 1, "bogus": 2}, {"bogus": None}])
def test_named_parameters_that_make_no_sense(server, body):
    assert ask(server, "POST", "/gradio_api/call/v2/predict", body).status in (400, 422)


@pytest.mark.parametrize(
    "data", [[], [None, None], [1], ["text"], [[]], [{}], [True], [{"path": 1}], [{"path": None}]]
)
def test_data_of_the_wrong_kind_is_an_error(server, data):
    asked = ask(server, "POST", "/gradio_api/call/predict", {"data": data})
    assert asked.status == 200
    event = json.loads(asked.body)["event_id"]
    assert b"event: error" in ask(server, "GET", f"/gradio_api/call/predict/{event}").body


def _private(server: str, handler: str) -> int:
    """The number of a handler that the API does not name."""
    config = json.loads(ask(server, "GET", "/config").body)
    targets = {"clicked": "click", "uploaded": "upload"}
    ids = [
        dependency["id"]
        for dependency in config["dependencies"]
        if dependency["api_visibility"] == "private"
        and dependency["targets"][0][1] == targets[handler]
    ]
    assert len(ids) == 1
    return ids[0]


@pytest.mark.parametrize(
    "data",
    [None, {}, [], "text", "an example", 1]
    + [{"example": value} for value in (-1, 10**9, 1.5, "0", None, True, [0], {"a": 0}, 1e300)],
)
def test_examples_that_are_not_there(server, data):
    session = f"liar{abs(hash(repr(data)))}"
    body = {"data": [None], "fn_index": _private(server, "clicked"), "session_hash": session}
    asked = ask(server, "POST", JOIN, body | {"event_data": data})
    if asked.status == 200:
        told = ask(server, "GET", f"/gradio_api/queue/data?session_hash={session}").body
        assert b"There is no such example" in told or data == {"example": True}
    else:
        assert asked.status in (400, 422)


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/queue/data?session_hash=foreign",
        "/gradio_api/queue/data?session_hash=",
        "/gradio_api/queue/data",
        "/gradio_api/call/predict/0123456789abcdef0123456789abcdef",
        "/gradio_api/call/v2/predict/x",
        "/gradio_api/upload_progress?upload_id=foreign",
        "/gradio_api/upload_progress",
    ],
)
def test_events_of_nobody(server, path):
    assert ask(server, "GET", path).status in (404, 422)


def test_others_events_cannot_be_ended(server):
    kept = json.loads(upload(server, multipart(("files", "film.png", FILM))).body)[0]
    body = {"data": [file(kept)], "session_hash": "mine"}
    for _ in range(3):
        event = json.loads(ask(server, "POST", "/gradio_api/call/predict", body).body)["event_id"]
        for dependency in json.loads(ask(server, "GET", "/config").body)["dependencies"]:
            ended = {"session_hash": "mine", "event_id": event, "fn_index": dependency["id"]}
            assert ask(server, "POST", "/gradio_api/cancel", ended).status == 404
            assert ask(server, "POST", "/gradio_api/reset", ended).status == 200
        told = ask(server, "GET", f"/gradio_api/call/predict/{event}").body
        assert told.count(b'"probabilities"') == 7


def test_an_answer_that_has_begun_is_not_begun_again():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})
        raise ValueError("half way")

    async def receive():
        return {"type": "http.request", "body": b"x", "more_body": False}

    async def send(message):
        pass

    scope = {"type": "http", "method": "POST", "path": "/gradio_api/upload", "headers": []}
    with pytest.raises(ValueError, match="half way"):
        asyncio.run(Events(app)(scope, receive, send))


def test_a_session_that_fetches_no_answers_is_refused_more(server):
    body = {"data": [], "session_hash": "hoarder"}
    for _ in range(UNREAD):
        assert ask(server, "POST", "/gradio_api/call/models", body).status == 200
        while json.loads(ask(server, "GET", "/gradio_api/queue/status").body)["queue_size"] > 8:
            time.sleep(0.02)  # or its share of the queue would be taken first
    assert TOO_MANY.encode() in ask(server, "POST", "/gradio_api/call/models", body).body
    body["session_hash"] = "another"
    assert ask(server, "POST", "/gradio_api/call/models", body).status == 200

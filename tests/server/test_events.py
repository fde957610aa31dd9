"""Events that lie: nonsense, examples that are not there, other people's events."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from fedmed.server.events import TOO_MANY, UNREAD, Events
from tests.support.strangers import FILM, ask, file, multipart, upload, works

JOIN = "/gradio_api/queue/join"


@pytest.fixture(scope="module", autouse=True)
def works_afterwards(server):
    yield
    assert works(server)


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


def test_an_answer_that_has_begun_is_not_begun_again(tmp_path):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})
        raise ValueError("half way")

    async def receive():
        return {"type": "http.request", "body": b"x", "more_body": False}

    async def send(message):
        pass

    scope = {"type": "http", "method": "POST", "path": "/gradio_api/upload", "headers": []}
    with pytest.raises(ValueError, match="half way"):
        asyncio.run(Events(app, tmp_path)(scope, receive, send))


def test_a_session_that_fetches_no_answers_is_refused_more(server):
    body = {"data": [], "session_hash": "hoarder"}
    for _ in range(UNREAD):
        assert ask(server, "POST", "/gradio_api/call/models", body).status == 200
        while json.loads(ask(server, "GET", "/gradio_api/queue/status").body)["queue_size"] > 8:
            time.sleep(0.02)  # or its share of the queue would be taken first
    assert TOO_MANY.encode() in ask(server, "POST", "/gradio_api/call/models", body).body
    body["session_hash"] = "another"
    assert ask(server, "POST", "/gradio_api/call/models", body).status == 200

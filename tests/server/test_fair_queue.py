"""A client who floods the queue, and another who wants one answer."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from types import SimpleNamespace

import pytest

from fedmed.server import gradio_internals
from fedmed.server.clients import client
from fedmed.server.fair_queue import QueueShare, take_turns
from tests.support.image_bytes import with_segments
from tests.support.strangers import FILM, ask, file, multipart, upload, works

FLOODING = {"X-Forwarded-For": "198.51.100.7"}
COSTLY = {"X-Forwarded-For": "192.0.2.16"}
VISITOR = {"X-Forwarded-For": "203.0.113.9"}


def test_costly_files_of_one_client_do_not_keep_another_waiting(server):
    """More of them than are at work at once, each about a second's work for the decoder."""
    costly = with_segments(b"\xff" * 2**21)
    kept = json.loads(upload(server, multipart(("files", "film.jpg", costly))).body)[0]
    body = {"data": [file(kept)]}
    for _ in range(30):
        assert ask(server, "POST", "/gradio_api/call/predict", body, COSTLY).status == 200
    assert works(server, VISITOR)
    left = json.loads(ask(server, "GET", "/gradio_api/queue/status").body)["queue_size"]
    assert left > 4, "the visitor came after all of them"


def test_a_flood_does_not_starve_a_visitor(server):
    """The flood never waits for an answer, so whatever place it may have in the queue it takes."""
    kept = json.loads(upload(server, multipart(("files", "film.png", FILM))).body)[0]
    got: Counter[int] = Counter()
    refused, done = threading.Event(), threading.Event()

    def flood() -> None:
        for _ in range(50):
            if done.is_set():
                return
            body = {"data": [file(kept)]}
            reply = ask(server, "POST", "/gradio_api/call/predict", body, FLOODING)
            got[reply.status] += 1
            if reply.status != 200:
                refused.set()
            if reply.status == 429:
                assert b"Wait for one to be answered" in reply.body

    callers = [threading.Thread(target=flood) for _ in range(4)]  # 200 requests at most
    for caller in callers:
        caller.start()
    try:
        assert refused.wait(60), "200 requests were not enough to be refused one"
        assert works(server, VISITOR)
    finally:
        done.set()
        for caller in callers:
            caller.join()
    assert set(got) == {200, 429}


@pytest.mark.parametrize(
    ("waiting", "who", "taken"),
    [
        ("", "a", False),
        ("aaa", "a", False),
        ("aaaa", "a", True),  # holds 4 of 8 and leaves 4
        ("aaaa", "b", False),
        ("aaaabb", "b", True),
        ("aaaabb", "c", False),
        ("aaaabbc", "c", True),
        ("aaaabbc", "d", False),
        ("aaaabbcd", "e", False),  # no place left: Gradio's own answer says so
    ],
)
def test_as_many_places_as_one_leaves_free(waiting, who, taken):
    assert QueueShare(_nothing, _whatever).is_taken(_app(waiting), who) is taken


@pytest.mark.parametrize(
    ("at_work", "waiting", "turns"),
    [
        ("", "aaab", "abaa"),
        ("aa", "aaab", "baaa"),
        ("ab", "abab", "abab"),
        ("aab", "abcb", "cbab"),
        ("aaa", "", ""),
    ],
)
def test_whoever_has_fewest_comes_next(at_work, waiting, turns):
    app = _app(waiting, at_work)
    take_turns(app)
    (order,) = gradio_internals.waiting_lines(app)
    assert "".join(client(gradio_internals.scope_of(event)) for event in order) == turns


@pytest.mark.parametrize("path", ["queue/join", "call/predict", "call/v2/predict"])
def test_those_let_through_at_once_count(path):
    """Requests that the app has not queued yet hold their places."""
    asked = {
        "type": "http",
        "method": "POST",
        "path": f"/gradio_api/{path}",
        "client": ("a", 1),
        "app": _app(waiting=""),
    }
    statuses: list[int] = []

    async def app(scope, receive, send):
        await asyncio.sleep(0.05)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def send(message):
        if "status" in message:
            statuses.append(message["status"])

    async def flood():
        share = QueueShare(app, _whatever)
        await asyncio.gather(*(share(asked, _nothing, send) for _ in range(20)))
        assert not share.joining

    asyncio.run(flood())
    assert Counter(statuses) == {200: 4, 429: 16}


def _app(waiting: str, at_work: str = "") -> SimpleNamespace:
    """As much of an app as is looked at: its queue of eight holds these clients' events."""
    queue = SimpleNamespace(
        max_size=8,
        active_jobs=[None, *([event] for event in _events(at_work))],
        event_queue_per_concurrency_id={"predictor": SimpleNamespace(queue=_events(waiting))},
    )
    return SimpleNamespace(get_blocks=lambda: SimpleNamespace(_queue=queue))


def _events(whose: str) -> list:
    return [SimpleNamespace(request=SimpleNamespace(scope={"client": (w, 1)})) for w in whose]


async def _nothing(*_):
    pass


def _whatever(_) -> None:
    pass

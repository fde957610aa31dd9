"""What Gradio remembers of visits goes, but not while somebody waits."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import SimpleNamespace

import gradio as gr
import pytest

from fedmed.page import launching
from fedmed.page.launching import guarded
from fedmed.page.uploads import Uploads
from fedmed.page.visits import SESSIONS, Visits
from tests.page.strangers import ask

OLD, EVERY = 0.6, 0.2
LONG = OLD + 5 * EVERY


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A running app that answers after as many seconds as it is told."""
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def predict(seconds: float) -> str:
        time.sleep(seconds)
        return f"after {seconds}"

    visits = Visits(old=OLD)
    with gr.Blocks(analytics_enabled=False) as blocks:
        asked, answer = gr.Number(), gr.HTML()
        asked.submit(predict, asked, answer, api_name="predict", concurrency_limit=4)
    _, address, _ = blocks.launch(
        server_port=port,
        prevent_thread_lock=True,
        quiet=True,
        state_session_capacity=launching.options()["state_session_capacity"],
        app_kwargs=guarded(Uploads(), visits, every=EVERY),
    )
    yield SimpleNamespace(
        address=address, state=blocks.app.state_holder, queue=blocks._queue, visits=visits
    )
    blocks.close()


def join(page: SimpleNamespace, seconds: float, session: str | None = None) -> str:
    body = {"data": [seconds]} | ({"session_hash": session} if session else {})
    reply = ask(page.address, "POST", "/gradio_api/call/predict", body)
    assert reply.status == 200
    return json.loads(reply.body)["event_id"]


def fetch(page: SimpleNamespace, event: str) -> str:
    reply = ask(page.address, "GET", f"/gradio_api/call/predict/{event}")
    return reply.body.decode() if reply.status == 200 else str(reply.status)


def remembered(page: SimpleNamespace) -> list[dict]:
    queue, state = page.queue, page.state
    return [
        state.session_data,
        state.time_last_used,
        queue.pending_messages_per_session,
        queue.pending_event_ids_session,
    ]


def comes(wanted: Callable[[], bool]) -> bool:
    given_up = time.monotonic() + 60
    while not wanted() and time.monotonic() < given_up:
        time.sleep(0.05)
    return wanted()


def test_a_visit_is_forgotten_whether_its_answer_was_read_or_not(page):
    assert "after 0" in fetch(page, join(page, 0))
    assert "after 0" in fetch(page, join(page, 0, "visitor"))
    unread = join(page, 0, "gone")
    assert all(remembered(page)), "Gradio has other names for it now"
    assert comes(lambda: not any(remembered(page)))
    assert fetch(page, unread) == "404"
    assert "after 0" in fetch(page, join(page, 0, "visitor")), "a visitor who comes again"


def test_who_waits_is_answered_however_long_it_takes(page):
    event = join(page, LONG)
    assert f"after {LONG}" in fetch(page, event)


def test_an_answer_waits_for_its_reader_from_one_sweep_to_the_next(page):
    """And no sweep of a busy app takes one that has just come."""
    for _ in range(20):
        event = join(page, 0, "busy")
        assert "after 0" in fetch(page, event)


def test_no_more_sessions_are_remembered_than_said(page):
    page.visits.old = timedelta(hours=1)
    for number in range(SESSIONS + 5):
        fetch(page, join(page, 0, f"visitor{number}"))
    assert len(page.state.session_data) == SESSIONS

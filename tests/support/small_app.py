"""A small app behind the same guards as the real one, swept several times a second."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import gradio as gr

from fedmed.page import launch
from fedmed.server.guards import guard
from fedmed.server.sessions import Sessions
from fedmed.uploads.storage import Uploads
from tests.support.strangers import ask

OLD, EVERY = 0.6, 0.2


@contextmanager
def running(folder: Path) -> Iterator[SimpleNamespace]:
    """It answers after as many seconds as it is told. Its uploads lie in `folder`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def predict(seconds: float) -> str:
        time.sleep(seconds)
        return f"after {seconds}"

    sessions = Sessions(old=OLD)
    with gr.Blocks(analytics_enabled=False) as blocks:
        asked, answer = gr.Number(), gr.HTML()
        asked.submit(predict, asked, answer, api_name="predict", concurrency_limit=4)
    _, address, _ = blocks.launch(
        server_port=port,
        prevent_thread_lock=True,
        quiet=True,
        state_session_capacity=launch.options()["state_session_capacity"],
        app_kwargs=guard(Uploads(folder), sessions, every=EVERY),
    )
    try:
        yield SimpleNamespace(address=address, app=blocks.app, sessions=sessions)
    finally:
        blocks.close()


def join(page: SimpleNamespace, seconds: float, session: str | None = None) -> str:
    body = {"data": [seconds]} | ({"session_hash": session} if session else {})
    reply = ask(page.address, "POST", "/gradio_api/call/predict", body)
    assert reply.status == 200
    return json.loads(reply.body)["event_id"]


def fetch(page: SimpleNamespace, event: str) -> str:
    reply = ask(page.address, "GET", f"/gradio_api/call/predict/{event}")
    return reply.body.decode() if reply.status == 200 else str(reply.status)


def comes(wanted: Callable[[], bool]) -> bool:
    given_up = time.monotonic() + 60
    while not wanted() and time.monotonic() < given_up:
        time.sleep(0.05)
    return wanted()

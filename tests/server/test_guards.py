"""The guards as they stand before Gradio, and what guarding changes in this process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fedmed.server import clients
from fedmed.server.clients import RequestLimit
from fedmed.server.events import Events
from fedmed.server.fair_queue import QueueShare
from fedmed.server.guards import guard
from fedmed.server.request_bodies import RequestBodies
from fedmed.server.routes import Routes
from fedmed.server.sessions import Sessions
from fedmed.uploads.storage import Uploads


def test_guards_stand_in_the_order_that_they_count_on(tmp_path: Path) -> None:
    """Headers on every refusal; nothing read of a client's 201st request; files before events."""
    uploads, sessions = Uploads(tmp_path), Sessions()
    middleware = guard(uploads, sessions)["middleware"]
    order = [Routes, RequestLimit, RequestBodies, Events, QueueShare]
    assert [each.cls for each in middleware] == order
    assert middleware[3].kwargs == {"uploads": tmp_path}
    assert middleware[2].kwargs == {"accept": uploads.accept}
    assert middleware[4].kwargs == {"make_room": sessions.make_room}


def test_on_a_space_visitors_are_told_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("SPACE_ID", "fedmed/fedmed")
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "")
    monkeypatch.delenv("FORWARDED_ALLOW_IPS")
    guard(Uploads(tmp_path))
    assert os.environ["FORWARDED_ALLOW_IPS"] == clients.PROXIES


def test_connections_may_be_as_many_as_the_system_grants(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="this system has no such limit")
    granted = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (granted[1] // 2, granted[1]))
    try:
        guard(Uploads(tmp_path))
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (granted[1], granted[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, granted)

"""What is set where the page is launched."""

from __future__ import annotations

import os

import pytest

from fedmed.page import launch
from fedmed.server import clients
from fedmed.server import guards as server_guards
from fedmed.server.clients import RequestLimit
from fedmed.server.events import Events
from fedmed.server.fair_queue import QueueShare
from fedmed.server.request_bodies import RequestBodies
from fedmed.server.routes import Routes
from fedmed.server.sessions import Sessions
from fedmed.uploads.storage import Uploads


def test_guards_stand_in_the_order_that_they_count_on():
    """Headers on every refusal; nothing read of a client's 201st request; files before events."""
    uploads = Uploads()
    middleware = server_guards.guarded(uploads, Sessions())["middleware"]
    assert [guard.cls for guard in middleware] == [
        Routes,
        RequestLimit,
        RequestBodies,
        Events,
        QueueShare,
    ]
    assert middleware[2].kwargs == {"accept": uploads.accept}


def test_on_a_space_visitors_are_told_apart(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SPACE_ID", "fedmed/fedmed")
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "")
    monkeypatch.delenv("FORWARDED_ALLOW_IPS")
    server_guards.guarded(Uploads(), Sessions())
    assert os.environ["FORWARDED_ALLOW_IPS"] == clients.PROXIES


def test_what_nobody_needs_is_off():
    options = launch.options()
    off = ("enable_monitoring", "run_history", "share", "ssr_mode", "pwa")
    assert not any(options[name] for name in off)
    assert options["strict_cors"] and options["allowed_paths"] == []
    assert launch.QUEUE["api_open"] is False

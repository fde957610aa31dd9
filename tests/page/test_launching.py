"""What is set where the page is launched."""

from __future__ import annotations

import os

import pytest

from fedmed.page import fairness, launching
from fedmed.page.bodies import Bodies
from fedmed.page.events import Events
from fedmed.page.fairness import Crowd, Share
from fedmed.page.surface import Surface
from fedmed.page.visits import Visits
from fedmed.uploads.storage import Uploads


def test_guards_stand_in_the_order_that_they_count_on():
    """Headers on every refusal; nothing read of a client's 201st request; files before events."""
    uploads = Uploads()
    guards = launching.guarded(uploads, Visits())["middleware"]
    assert [guard.cls for guard in guards] == [Surface, Crowd, Bodies, Events, Share]
    assert guards[2].kwargs == {"accept": uploads.accept}


def test_on_a_space_visitors_are_told_apart(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SPACE_ID", "fedmed/fedmed")
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "")
    monkeypatch.delenv("FORWARDED_ALLOW_IPS")
    launching.guarded(Uploads(), Visits())
    assert os.environ["FORWARDED_ALLOW_IPS"] == fairness.PROXIES


def test_what_nobody_needs_is_off():
    options = launching.options()
    off = ("enable_monitoring", "run_history", "share", "ssr_mode", "pwa")
    assert not any(options[name] for name in off)
    assert options["strict_cors"] and options["allowed_paths"] == []
    assert launching.QUEUE["api_open"] is False

"""What is set where the page is launched."""

from __future__ import annotations

from fedmed.page import launch


def test_what_nobody_needs_is_off():
    options = launch.options()
    off = ("enable_monitoring", "run_history", "share", "ssr_mode", "pwa")
    assert not any(options[name] for name in off)
    assert options["strict_cors"] and options["allowed_paths"] == []
    assert launch.QUEUE["api_open"] is False

"""The server is started with more patience than Flower's own command has."""

from __future__ import annotations

import sys
from types import SimpleNamespace

from fedmed.flower import patient_superlink
from fedmed.flower.supernode import START_SECONDS


def test_it_waits_longer_for_locks_and_starts_and_misses_processes_as_soon(monkeypatch):
    started = []
    database = SimpleNamespace(SQLITE_PRAGMAS=(("busy_timeout", "5000"), ("journal_mode", "WAL")))
    tasks = SimpleNamespace(HEARTBEAT_DEFAULT_INTERVAL=30, HEARTBEAT_PATIENCE=2)
    command = SimpleNamespace(flower_superlink=lambda: started.append([*sys.argv]))
    for name, module in {
        "flwr.supercore.sql_mixin": database,
        "flwr.supercore.corestate.sql_corestate": tasks,
        "flwr.superlink.cli": command,
    }.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(sys, "argv", ["-m", "--port", "8443"])
    patient_superlink.main()
    assert started == [["flower-superlink", "--port", "8443"]]
    assert database.SQLITE_PRAGMAS == (("busy_timeout", "120000"), ("journal_mode", "WAL"))
    assert tasks.HEARTBEAT_DEFAULT_INTERVAL == START_SECONDS
    assert tasks.HEARTBEAT_PATIENCE * tasks.HEARTBEAT_DEFAULT_INTERVAL == 60

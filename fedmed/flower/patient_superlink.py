"""Flower's SuperLink with more patience, `-m fedmed.flower.patient_superlink`.

Flower waits five seconds for a lock of its database and then lets the request fail, which ends the
run; and half a minute for the process of a run to start. Where the machine is busy, both take
longer.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from fedmed.flower.supernode import give_time_to_start

LOCK_SECONDS = 120


def main() -> None:
    """Run `flower-superlink` with this process's arguments, until it is stopped."""
    database: Any = importlib.import_module("flwr.supercore.sql_mixin")
    settings = dict(database.SQLITE_PRAGMAS)
    settings["busy_timeout"] = str(1000 * LOCK_SECONDS)
    database.SQLITE_PRAGMAS = tuple(settings.items())
    give_time_to_start(importlib.import_module("flwr.supercore.corestate.sql_corestate"))
    command: Any = importlib.import_module("flwr.superlink.cli")
    sys.argv[0] = "flower-superlink"
    command.flower_superlink()


if __name__ == "__main__":
    main()

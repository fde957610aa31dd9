"""Flower's SuperLink with more patience for its database, `-m fedmed.flower.patient_superlink`.

Flower waits five seconds for a lock and then lets the request fail, which ends the run. Where the
machine is busy, writing the updates of whole networks takes longer.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

LOCK_SECONDS = 120


def main() -> None:
    """Run `flower-superlink` with this process's arguments, until it is stopped."""
    database: Any = importlib.import_module("flwr.supercore.sql_mixin")
    settings = dict(database.SQLITE_PRAGMAS)
    settings["busy_timeout"] = str(1000 * LOCK_SECONDS)
    database.SQLITE_PRAGMAS = tuple(settings.items())
    command: Any = importlib.import_module("flwr.superlink.cli")
    sys.argv[0] = "flower-superlink"
    command.flower_superlink()


if __name__ == "__main__":
    main()

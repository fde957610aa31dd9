"""Flower's SuperNode, as a hospital runs it: quiet towards strangers, and deaf to foreign code."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fedmed.flower import bundle
from fedmed.progress import say

# Flower would call home, and look for updates.
QUIET = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
# Flower gives the process that answers a message half a minute to start, and then starts another:
# where other programs keep the processor busy, more and more, of which none gets done.
START_SECONDS = 180


UNKNOWN_KEY = "Failed to activate SuperNode"  # what Flower says where a key is not registered


def search_path() -> str:
    """Return PATH with this Python's own folder first: by names Flower starts its commands."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def run(arguments: Sequence[str]) -> None:
    """Run a SuperNode with these arguments until it is stopped.

    Every bundle that the server sends is looked at by `bundle.check` before Flower keeps it; one
    that is refused ends the SuperNode.
    """
    os.environ.update({**QUIET, "PATH": search_path()})
    internal: Any = importlib.import_module("flwr.supernode.start_client_internal")
    command: Any = importlib.import_module("flwr.supernode.cli.flower_supernode")
    tasks: Any = importlib.import_module("flwr.supercore.corestate.in_memory_corestate")
    alive = tasks.HEARTBEAT_PATIENCE * tasks.HEARTBEAT_DEFAULT_INTERVAL
    tasks.HEARTBEAT_DEFAULT_INTERVAL = START_SECONDS
    tasks.HEARTBEAT_PATIENCE = alive / START_SECONDS  # one that runs is missed as soon as before
    read = internal.get_fused_config_from_fab

    def checked(content: bytes, *others: Any) -> Any:
        bundle.check(content)
        return read(content, *others)

    internal.get_fused_config_from_fab = checked
    sys.argv = ["flower-supernode", *arguments]
    said = _Said()
    logging.getLogger("flwr").addHandler(said)
    try:
        command.flower_supernode()
    except SystemExit:
        if UNKNOWN_KEY in said.last:
            say(
                "The server does not know this key: the coordinator has to register it (its .pub "
                "in keys/hospitals/ there), or is just about to: start again in a minute."
            )
        raise


class _Said(logging.Handler):
    """Keeps the last error that Flower told."""

    last = ""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR:
            self.last = record.getMessage()

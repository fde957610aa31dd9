"""Flower's SuperNode, as a hospital runs it: quiet towards strangers, and deaf to foreign code."""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable, Sequence
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
START_SECONDS = 180


UNKNOWN_KEY = "Failed to activate SuperNode"  # what Flower says where a key is not registered
TRIES, TRY_SECONDS = 24, 5.0


def search_path() -> str:
    """Return PATH with this Python's own folder first: by names Flower starts its commands."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def give_time_to_start(tasks: Any) -> None:
    """Give processes that Flower starts START_SECONDS to begin; `tasks` is its module that waits.

    Flower waits half a minute, and then starts another: where other programs keep the processor
    busy, more and more, of which none gets done.
    """
    alive = tasks.HEARTBEAT_PATIENCE * tasks.HEARTBEAT_DEFAULT_INTERVAL
    tasks.HEARTBEAT_DEFAULT_INTERVAL = START_SECONDS
    tasks.HEARTBEAT_PATIENCE = alive / START_SECONDS  # one that runs is missed as soon as before


def run(arguments: Sequence[str]) -> None:
    """Run a SuperNode with these arguments until it is stopped.

    Every bundle that the server sends is looked at by `bundle.check` before Flower keeps it; one
    that is refused ends the SuperNode.
    """
    os.environ.update({**QUIET, "PATH": search_path()})
    internal: Any = importlib.import_module("flwr.supernode.start_client_internal")
    command: Any = importlib.import_module("flwr.supernode.cli.flower_supernode")
    client: Any = importlib.import_module("flwr.supernode.fleet_http_client").FleetHttpClient
    tasks: Any = importlib.import_module("flwr.supercore.corestate.in_memory_corestate")
    give_time_to_start(tasks)
    read = internal.get_fused_config_from_fab

    def checked(content: bytes, *others: Any) -> Any:
        bundle.check(content)
        return read(content, *others)

    internal.get_fused_config_from_fab = checked
    client.ActivateNode = patiently(client.ActivateNode)
    sys.argv = ["flower-supernode", *arguments]
    command.flower_supernode()


def patiently(
    activate: Callable[[Any, Any], Any], sleep: Callable[[float], None] = time.sleep
) -> Callable[[Any, Any], Any]:
    """Return Flower's call that joins a server, tried for a while where the key is not known yet.

    A server registers keys when it answers already, and Flower would take the first no for good.
    """

    def tried(client: Any, request: Any) -> Any:
        for left in range(TRIES, -1, -1):
            try:
                return activate(client, request)
            except Exception as error:
                if UNKNOWN_KEY not in getattr(getattr(error, "response", None), "text", ""):
                    raise
                if not left:
                    say(
                        "The server does not know this key: ask the coordinator to register its "
                        ".pub in keys/hospitals/ and to start again."
                    )
                    raise
                if left == TRIES:
                    say("The server does not know this key yet. It is asked for two minutes.")
                sleep(TRY_SECONDS)

    return tried

"""Connections on which nobody asks for anything are closed; uvicorn itself would wait for ever."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from gradio.routes import App

from fedmed.server import gradio_internals


def allow_many() -> None:
    """Let this process have as many open files, and so connections, as the system grants it."""
    with suppress(ImportError, ValueError, OSError):  # not on Windows; or refused
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Connections:
    """Closes idle connections: `close_idle` is for `Cleanup`, on the event loop."""

    def __init__(self) -> None:
        self.idle: dict[Any, Any] = {}  # connections at the last sweep, and their last requests

    async def close_idle(self, app: App) -> None:
        """Close those without a request since the last sweep: silent, or within its first lines.

        uvicorn closes what is idle after a request, but not while any byte of the next one comes.
        """
        idle = gradio_internals.idle_connections(app)
        never = object()
        for connection, last_request in list(idle.items()):
            if self.idle.get(connection, never) is last_request:
                gradio_internals.close(connection)
                del idle[connection]
        self.idle = idle

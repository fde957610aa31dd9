"""Connections on which nobody asks for anything are closed; the server itself waits for ever."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from gradio.routes import App


def allow_many() -> None:
    """Let this process have as many open files, and so connections, as the system grants it."""
    with suppress(ImportError, ValueError, OSError):  # not on Windows; or refused
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Connections:
    """The sweeper of connections. `close_idle` belongs on the event loop."""

    def __init__(self) -> None:
        self.idle: dict[Any, Any] = {}  # since the last sweep: connections, and their last requests

    async def close_idle(self, app: App) -> None:
        """Close those without a request since the last sweep: silent, or within its first lines.

        uvicorn closes what is idle after a request, but not while any byte of the next one comes.
        """
        server: Any = app.get_blocks().server
        idle = {
            connection: connection.cycle
            for connection in list(server.server_state.connections)
            if connection.cycle is None or connection.cycle.response_complete
        }
        nothing = object()
        for connection, last in list(idle.items()):
            if self.idle.get(connection, nothing) is last:
                connection.transport.close()
                del idle[connection]
        self.idle = idle

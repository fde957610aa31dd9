"""The guards put together, as arguments of the FastAPI application."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from gradio.routes import App
from starlette.middleware import Middleware

from fedmed.server import cleanup, connections, gradio_internals
from fedmed.server.cleanup import Cleanup
from fedmed.server.clients import RequestLimit, trust_proxies
from fedmed.server.connections import Connections
from fedmed.server.events import Events
from fedmed.server.fair_queue import QueueShare
from fedmed.server.headers import headers
from fedmed.server.preview import Preview, Previews
from fedmed.server.request_bodies import RequestBodies
from fedmed.server.routes import Routes
from fedmed.server.sessions import Sessions
from fedmed.uploads.storage import EVERY, Uploads


def guard(
    uploads: Uploads,
    sessions: Sessions | None = None,
    every: float = EVERY,
    preview: Preview | None = None,
) -> dict[str, Any]:
    """Prepare this process for strangers, and return the `app_kwargs` of launch().

    On a Space it sets FORWARDED_ALLOW_IPS; everywhere it raises this process's limit on open files.

    Args:
        uploads: The folder of `storage.folder_of_its_own`.
        sessions: The keeper of sessions; one of its own if None.
        every: Seconds between sweeps.
        preview: What other sites show of a link to the page; Gradio's if None.
    """
    trust_proxies(os.environ)
    connections.allow_many()
    sessions = sessions or Sessions()

    async def sweep_uploads(app: App) -> None:
        await asyncio.to_thread(uploads.sweep)
        await asyncio.to_thread(gradio_internals.forget_deleted_files, app)

    sweeps = (sweep_uploads, sessions.forget, Connections().close_idle, cleanup.trim)
    return {
        "lifespan": Cleanup(*sweeps, every=every).lifespan,
        "middleware": [
            Middleware(Routes, headers=headers(os.environ)),
            Middleware(RequestLimit),
            Middleware(RequestBodies, accept=uploads.accept),
            Middleware(Events, uploads=uploads.folder),
            Middleware(QueueShare, make_room=sessions.make_room),
            *([Middleware(Previews, preview=preview)] if preview else []),
        ],
    }

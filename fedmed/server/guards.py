"""The guards put together, as arguments of the FastAPI application."""

from __future__ import annotations

import os
from typing import Any

from starlette.middleware import Middleware

from fedmed.server import cleanup, connections
from fedmed.server.cleanup import Cleanup
from fedmed.server.clients import RequestLimit, trust_proxies
from fedmed.server.connections import Connections
from fedmed.server.events import Events
from fedmed.server.fair_queue import QueueShare
from fedmed.server.request_bodies import RequestBodies
from fedmed.server.routes import Routes
from fedmed.server.sessions import Sessions
from fedmed.uploads.storage import EVERY, Uploads


def guarded(uploads: Uploads, visits: Sessions, every: float = EVERY) -> dict[str, Any]:
    """Arguments of the FastAPI application: what stands between strangers and Gradio."""
    trust_proxies(os.environ)
    connections.allow_many()
    sweeps = (uploads.swept, visits.forget, Connections().close_idle, cleanup.trim)
    return {
        "lifespan": Cleanup(*sweeps, every=every).lifespan,
        "middleware": [
            Middleware(Routes),
            Middleware(RequestLimit),
            Middleware(RequestBodies, accept=uploads.accept),
            Middleware(Events),
            Middleware(QueueShare, make_room=visits.make_room),
        ],
    }

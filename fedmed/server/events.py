"""Events looked at before Gradio queues them or tells of them: what they name, whose they are."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fedmed.server.replies import TrackedSend, refuse, route

ADDRESS = "Send the file itself: this server fetches no addresses."
# Gradio's form of a refused parameter, which its Python client puts into words.
NO_ADDRESSES = [
    {"__type__": "validate", "is_valid": False, "parameter_name": "image", "message": ADDRESS}
]
SENSELESS = "This is not a request that the app understands."
UNREAD = 64  # answers of a session that wait to be fetched
TOO_MANY = "Too many answers of yours wait to be fetched. Fetch them, then ask again."
UNKNOWN = "There is no such event, or it was answered before."

log = logging.getLogger(__name__)


class Events:
    """ASGI middleware: 422 for an address in place of a file, 400 for what makes no sense, 404 for
    an event nobody asked for, 429 for a session that fetches no answers.

    Gradio would download the address, whatever its size, keep the answers, however many, and
    answers the others with 500 or half a reply, and a traceback in the log.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = route(scope) if scope["type"] == "http" else ""
        if not path.startswith(("/gradio_api/queue/", "/gradio_api/call/", "/gradio_api/upload")):
            await self.app(scope, receive, send)
            return
        if scope["method"] != "POST":
            if _known(scope, path):
                await self.app(scope, receive, send)
            else:
                await refuse(scope, send, 404, UNKNOWN)
            return
        if not path.startswith("/gradio_api/upload"):
            body = await Request(scope, receive).body()
            asked = _parsed(body)
            if asked is None:
                await refuse(scope, send, 400, SENSELESS)
                return
            if any("://" in named for named in _paths(asked)):
                await refuse(scope, send, 422, NO_ADDRESSES)
                return
            if _unread(scope, asked) >= UNREAD:
                await refuse(scope, send, 429, TOO_MANY)
                return
            receive = _given(body, receive)
        begun = TrackedSend(send)
        try:
            await self.app(scope, receive, begun)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            if begun.yes:
                raise
            log.warning("a request to %s was refused: %r", path, error)
            await refuse(scope, send, 400, SENSELESS)


def _parsed(body: bytes) -> dict[str, Any] | None:
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return asked if isinstance(asked, dict) else None


def _paths(asked: Any) -> Iterator[str]:
    """Every file named anywhere in a request."""
    left = [asked]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            left.extend(part.values())
            if isinstance(part.get("path"), str):
                yield part["path"]
        elif isinstance(part, list):
            left.extend(part)


def _unread(scope: Scope, asked: dict[str, Any]) -> int:
    unread = scope["app"].get_blocks()._queue.pending_event_ids_session
    session = asked.get("session_hash")
    return len(unread.get(session, ())) if isinstance(session, str) else 0


def _known(scope: Scope, path: str) -> bool:
    """Whether there is something to tell: of a session, or of an event of `call`."""
    queue = scope["app"].get_blocks()._queue
    if path.startswith("/gradio_api/queue/data"):
        session = QueryParams(scope["query_string"]).get("session_hash")
        return session is None or session in queue.pending_messages_per_session
    event = path.rpartition("/")[2]
    return (
        not path.startswith("/gradio_api/call/")
        or event in queue.pending_messages_per_session
        or event in queue.event_ids_to_events
        or any(event in events for events in list(queue.pending_event_ids_session.values()))
    )


def _given(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again

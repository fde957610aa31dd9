"""Events are checked before Gradio queues them or tells of them: what they name, whose they are."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from fedmed.server import event_files, gradio_internals
from fedmed.server.replies import TrackedSend, refuse, route
from fedmed.server.request_bodies import replay

SENSELESS = "This is not a request that the app understands."
UNREAD = 64  # answers of a session that wait to be fetched
TOO_MANY = "Too many answers of yours wait to be fetched. Fetch them, then ask again."
UNKNOWN = "There is no such event, or it was answered before."

CALL, DATA, UPLOAD = "/gradio_api/call/", "/gradio_api/queue/data", "/gradio_api/upload"

log = logging.getLogger(__name__)


class Events:
    """ASGI middleware: 422 for what is no uploaded file in the place of one, 400 for what makes no
    sense, 404 for an event nobody asked for, 429 for a session that fetches no answers.

    Gradio would download an address, whatever its size, keep the answers, however many, and
    answers the others with 500 or half a reply, and a traceback in the log.

    Args:
        uploads: The folder that they lie in.
    """

    def __init__(self, app: ASGIApp, uploads: Path) -> None:
        self.app = app
        self.uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = route(scope) if scope["type"] == "http" else ""
        if not path.startswith(("/gradio_api/queue/", CALL, UPLOAD)):
            await self.app(scope, receive, send)
        elif scope["method"] != "POST":
            if _is_known(scope, path):
                await self.app(scope, receive, send)
            else:
                await refuse(scope, send, 404, UNKNOWN)
        elif path.startswith(UPLOAD):
            await self._pass_on(scope, receive, send)
        else:
            body = await Request(scope, receive).body()
            refusal = self._refusal(scope, path, body)
            if refusal:
                await refuse(scope, send, *refusal)
            else:
                body = _filled_up(scope, path, body)
                receive = replay(io.BytesIO(body), len(body), receive)
                await self._pass_on(scope, receive, send)

    def _refusal(self, scope: Scope, path: str, body: bytes) -> tuple[int, object] | None:
        """The status and the reason for which an event is refused, if it is."""
        try:
            event = json.loads(body)
        except (ValueError, RecursionError):
            return 400, SENSELESS
        if not isinstance(event, dict):
            return 400, SENSELESS
        fault = event_files.fault(scope["app"], event, _called(path), self.uploads)
        if fault:
            return 422, event_files.refusal(fault)
        if _unread_answers(scope, event) >= UNREAD:
            return 429, TOO_MANY
        return None

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        tracked = TrackedSend(send)
        try:
            await self.app(scope, receive, tracked)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            if tracked.has_begun:
                raise
            log.warning("a request to %s was refused: %r", route(scope), error)
            await refuse(scope, send, 400, SENSELESS)


def _filled_up(scope: Scope, path: str, body: bytes) -> bytes:
    """The event with None for the inputs at its end that were left out, and its files marked.

    Gradio's Python client fills in what is optional by itself; a list of fewer values than a
    function has inputs, as curl and the JavaScript client send it, would be refused.
    """
    event, name = json.loads(body), _called(path)
    event_files.mark(scope["app"], event, name)
    data = event.get("data")
    if isinstance(data, list) and not name.startswith("v2/"):
        missing = gradio_internals.inputs_of(scope["app"], event, name) - len(data)
        event["data"] = data + [None] * missing
    return json.dumps(event).encode()


def _called(path: str) -> str:
    """The API's name of what is called; empty in the queue, where the event has its number."""
    return path.removeprefix(CALL).strip("/") if path.startswith(CALL) else ""


def _unread_answers(scope: Scope, event: dict[str, Any]) -> int:
    session = event.get("session_hash")
    if not isinstance(session, str):
        return 0
    return len(gradio_internals.unread_events(scope["app"]).get(session, ()))


def _is_known(scope: Scope, path: str) -> bool:
    """Whether there is something to tell: of a session, or of an event of `call`."""
    if path.startswith(DATA):
        session = QueryParams(scope["query_string"]).get("session_hash")
        return session is None or session in gradio_internals.sessions_with_messages(scope["app"])
    return not path.startswith(CALL) or gradio_internals.knows_event(
        scope["app"], path.rpartition("/")[2]
    )

"""Events are checked before Gradio queues them or tells of them: what they name, whose they are."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from fedmed.server import gradio_internals
from fedmed.server.replies import TrackedSend, refuse, route
from fedmed.server.request_bodies import replay

ADDRESS = "Send the file itself: this server fetches no addresses."
# Gradio's form of a refused parameter, which its Python client puts into words.
NO_ADDRESSES = [
    {"__type__": "validate", "is_valid": False, "parameter_name": "image", "message": ADDRESS}
]
SENSELESS = "This is not a request that the app understands."
UNREAD = 64  # answers of a session that wait to be fetched
TOO_MANY = "Too many answers of yours wait to be fetched. Fetch them, then ask again."
UNKNOWN = "There is no such event, or it was answered before."

CALL, DATA, UPLOAD = "/gradio_api/call/", "/gradio_api/queue/data", "/gradio_api/upload"

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
            refusal = _refusal(scope, body)
            if refusal:
                await refuse(scope, send, *refusal)
            else:
                body = _filled_up(scope, path, body)
                receive = replay(io.BytesIO(body), len(body), receive)
                await self._pass_on(scope, receive, send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        tracked = TrackedSend(send)
        try:
            await self.app(scope, receive, tracked)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            if tracked.has_begun:
                raise
            log.warning("a request to %s was refused: %r", route(scope), error)
            await refuse(scope, send, 400, SENSELESS)


def _refusal(scope: Scope, body: bytes) -> tuple[int, object] | None:
    """The status and the reason for which an event is refused, if it is."""
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        return 400, SENSELESS
    if not isinstance(event, dict):
        return 400, SENSELESS
    if any("://" in path for path in _file_paths(event)):
        return 422, NO_ADDRESSES
    if _unread_answers(scope, event) >= UNREAD:
        return 429, TOO_MANY
    return None


def _filled_up(scope: Scope, path: str, body: bytes) -> bytes:
    """The event with None for the inputs at its end that were left out.

    Gradio's Python client fills in what is optional by itself; a list of fewer values than a
    function has inputs, as curl and the JavaScript client send it, would be refused.
    """
    event = json.loads(body)
    data = event.get("data")
    name = path.removeprefix(CALL).strip("/")
    if not isinstance(data, list) or name.startswith("v2/"):
        return body
    missing = gradio_internals.inputs_of(scope["app"], event, name) - len(data)
    if missing <= 0:
        return body
    return json.dumps(event | {"data": data + [None] * missing}).encode()


def _file_paths(event: Any) -> Iterator[str]:
    """Every file named anywhere in an event."""
    left = [event]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            left.extend(value.values())
            if isinstance(value.get("path"), str):
                yield value["path"]
        elif isinstance(value, list):
            left.extend(value)


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

"""Events looked at before Gradio queues them: what they name, and whether they make sense."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fedmed.page.surface import refuse, route

ADDRESS = "Send the file itself: this server fetches no addresses."
# Gradio's form of a refused parameter, which its Python client puts into words.
NO_ADDRESSES = [
    {"__type__": "validate", "is_valid": False, "parameter_name": "image", "message": ADDRESS}
]
SENSELESS = "This is not a request that the app understands."

log = logging.getLogger(__name__)


class Events:
    """ASGI middleware: 422 for an address in place of a file, 400 for what makes no sense.

    Gradio would download the address, whatever its size, and answers what makes no sense with 500
    and a traceback in the log.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        path = route(scope)
        if path.startswith(("/gradio_api/queue/join", "/gradio_api/call/")):
            body = await Request(scope, receive).body()
            try:
                asked = json.loads(body)
            except (ValueError, RecursionError):
                asked = None
            if not isinstance(asked, dict):
                await refuse(scope, send, 400, SENSELESS)
                return
            if any("://" in path for path in _paths(asked)):
                await refuse(scope, send, 422, NO_ADDRESSES)
                return
            receive = _given(body, receive)
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            if started:
                raise
            log.warning("a request to %s was refused: %r", path, error)
            await refuse(scope, send, 400, SENSELESS)


def _paths(asked: Any) -> Iterator[str]:
    """Every file named anywhere in a request."""
    left = [asked]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            yield from (value for key, value in part.items() if key == "path" and _text(value))
        if isinstance(part, (dict, list)):
            left.extend(part.values() if isinstance(part, dict) else part)


def _text(value: object) -> bool:
    return isinstance(value, str)


def _given(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again

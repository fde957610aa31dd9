"""Replies of the guards' own."""

from __future__ import annotations

from starlette.responses import JSONResponse
from starlette.types import Message, Scope, Send


async def refuse(scope: Scope, send: Send, status: int, words: object) -> None:
    """Answer with `{"detail": words}`, as Gradio's own refusals do; its page shows the words."""
    await JSONResponse({"detail": words}, status)(scope, _nothing, send)


class TrackedSend:
    """A `send` that knows whether it has begun to answer: from then on nothing can be refused."""

    def __init__(self, send: Send) -> None:
        self.send = send
        self.yes = False

    async def __call__(self, message: Message) -> None:
        self.yes = True
        await self.send(message)


def route(scope: Scope) -> str:
    """The path asked for, without that of a proxy in front."""
    return scope["path"].removeprefix(scope.get("root_path", ""))


async def _nothing() -> Message:
    return {"type": "http.disconnect"}

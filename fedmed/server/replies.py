"""The guards' own replies."""

from __future__ import annotations

from starlette.responses import JSONResponse
from starlette.types import Message, Scope, Send


async def refuse(scope: Scope, send: Send, status: int, detail: object) -> None:
    """Answer with `{"detail": detail}`, as Gradio's own refusals do; its page shows the detail."""
    await JSONResponse({"detail": detail}, status)(scope, _nothing, send)


class TrackedSend:
    """A `send` that knows whether the reply has begun: from then on nothing can be refused."""

    def __init__(self, send: Send) -> None:
        self.send = send
        self.has_begun = False

    async def __call__(self, message: Message) -> None:
        self.has_begun = True
        await self.send(message)


def route(scope: Scope) -> str:
    """The path asked for, without that of a proxy in front."""
    return scope["path"].removeprefix(scope.get("root_path", ""))


async def _nothing() -> Message:
    return {"type": "http.disconnect"}

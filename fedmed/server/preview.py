"""What other sites show of a link to the page: title, sentence, picture.

Gradio's page names its own picture and no sentence, and has no way to say otherwise.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from markupsafe import escape
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fedmed.server.replies import route

GRADIOS = re.compile(rb"<meta\s+(property=\"og:|name=\"twitter:)[^>]*>\s*")
HEAD = b"<head>"


class Preview(NamedTuple):
    """What a link to the page looks like elsewhere."""

    title: str
    description: str
    image: str  # a full URL

    def tags(self) -> bytes:
        """The tags of Open Graph and of X."""
        told = {
            'property="og:type"': "website",
            'property="og:title"': self.title,
            'property="og:description"': self.description,
            'property="og:image"': self.image,
            'name="description"': self.description,
            'name="twitter:card"': "summary_large_image",
        }
        tags = [f'<meta {kind} content="{escape(content)}">' for kind, content in told.items()]
        return "".join(tags).encode()


class Previews:
    """ASGI middleware: the page's own tags in place of Gradio's."""

    def __init__(self, app: ASGIApp, preview: Preview) -> None:
        self.app = app
        self.tags = preview.tags()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or route(scope) != "/":
            await self.app(scope, receive, send)
            return
        start: list[Message] = []
        body = bytearray()

        async def held(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.append(message)
                return
            body.extend(message.get("body", b""))
            if not message.get("more_body", False):
                page = self._told(bytes(body))
                MutableHeaders(scope=start[0])["Content-Length"] = str(len(page))
                await send(start[0])
                await send({"type": "http.response.body", "body": page})

        await self.app(scope, receive, held)

    def _told(self, page: bytes) -> bytes:
        head, mark, rest = page.partition(b"</head>")
        if HEAD not in head or not mark:
            return page
        return GRADIOS.sub(b"", head).replace(HEAD, HEAD + self.tags, 1) + mark + rest

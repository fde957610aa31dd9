"""The routes that strangers may reach, and the headers of every reply.

Gradio serves some seventy routes; the page and `gradio_client` use those listed here. All others,
its file routes among them, are as if they were not there: nothing that was uploaded can be fetched
again, and nobody can make this server fetch an address for them.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping

from starlette.datastructures import MutableHeaders, QueryParams
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fedmed.server.replies import TrackedSend, refuse, route

ENDPOINTS = "(predict|report|models|federate)"
READ = re.compile(
    r"/|/(config|theme\.css|favicon\.ico|manifest\.json|robots\.txt)/?|/(assets|static|svelte)/.+"
    r"|/gradio_api/(info|openapi\.json|app_id|startup-events|theme\.css|upload_progress)/?"
    r"|/gradio_api/queue/(data|status)|/gradio_api/heartbeat/\w+"
    rf"|/gradio_api/call/(v2/)?{ENDPOINTS}/\w+"
)
# No cancelling: Gradio would give a place away whose thread works on.
WRITE = re.compile(rf"/gradio_api/(upload|queue/join|reset|call/(v2/)?{ENDPOINTS})/?", re.ASCII)
INFO = re.compile("/gradio_api/info/?")
LONGEST_QUERY = 1024  # bytes, of what Gradio keeps names from
HOST = re.compile(r"[\w.:\[\]-]*", re.ASCII)

log = logging.getLogger(__name__)


class Routes:
    """ASGI middleware: 404 for what is not listed, 400 for an odd Host, 500 where something else
    failed; `headers` on every reply."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        self.app = app
        self.headers = dict(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self.headers)
            await send(message)

        if not _host_is_plain(scope):
            await refuse(scope, with_headers, 400, "The Host header is not a host.")
        elif not _listed(scope["method"], route(scope)) or _page(scope):
            await refuse(scope, with_headers, 404, "There is nothing here.")
        elif route(scope) != "/" and len(scope["query_string"]) > LONGEST_QUERY:
            await refuse(scope, with_headers, 414, "The address is too long.")
        else:
            if INFO.fullmatch(route(scope)):
                # Asked for a page's, Gradio writes it for each caller. Asked for all, it keeps what
                # it wrote for the first, with the host by which that one called.
                scope["query_string"] = b"page=&" + scope["query_string"]
            await self._pass_on(scope, receive, TrackedSend(with_headers))

    async def _pass_on(self, scope: Scope, receive: Receive, send: TrackedSend) -> None:
        try:
            await self.app(scope, receive, send)
        except Exception:
            if send.has_begun:
                raise
            log.exception("a request to %s failed", route(scope))
            await refuse(scope, send, 500, "Something went wrong here. Try again.")


def _listed(method: str, path: str) -> bool:
    if method in ("GET", "HEAD"):
        return READ.fullmatch(path) is not None and ".." not in path.split("/")
    return method == "POST" and WRITE.fullmatch(path) is not None


def _page(scope: Scope) -> str | None:
    """The page of the app that is asked for by name. There is one, without a name."""
    return QueryParams(scope["query_string"]).get("page")


def _host_is_plain(scope: Scope) -> bool:
    """Gradio writes the host it was called by into the page."""
    named = [
        value.decode("latin-1")
        for name, value in scope["headers"]
        if name in (b"host", b"x-forwarded-host")
    ]
    return all(HOST.fullmatch(host.strip()) for value in named for host in value.split(","))

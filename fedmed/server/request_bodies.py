"""What a request may carry: taken whole, and within limits, before Gradio sees any of it.

Gradio bounds the size of a file, but not of a request, and forgets what it wrote of an upload that
breaks off. Here a request comes whole or not at all.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import mmap
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import IO

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fedmed.server.clients import BUSY, client
from fedmed.server.replies import TrackedSend, refuse, route

FILE = 64 * 2**20  # bytes of an upload; `max_file_size` of launch()
ENVELOPE = 2**16  # and of what multipart puts around it
MESSAGE = 2**18  # bytes of any other request
IDLE_SECONDS = 30.0  # in which less than PACE comes, and not the end
PACE = 2**16  # bytes
SHARE = 2**28  # bytes of one client's requests under way
CHUNK = 2**22  # bytes; Gradio's parser copies what it has of a field for every chunk

FULL = "This server has no room for uploads at the moment. Try again in ten minutes."

log = logging.getLogger(__name__)

Accept = Callable[[Scope, int], Awaitable[None]]


class RequestBodies:
    """ASGI middleware: 413 for what is too large, 408 for what stalls, 429 beyond SHARE, 400 for
    several files in one, 507 where the disk is full.

    Args:
        accept: Awaited with the scope and the bytes of an upload before Gradio gets it.
    """

    def __init__(self, app: ASGIApp, accept: Accept) -> None:
        self.app = app
        self.accept = accept
        self.held: Counter[str] = Counter()  # bytes of each client's requests under way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        begun = TrackedSend(send)
        try:
            await self._whole(scope, receive, begun)
        except ClientDisconnect:
            return
        except OSError as error:
            if begun.yes or error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            log.error("there is no room for uploads: %s", error.strerror)
            await refuse(scope, send, 507, FULL)

    async def _whole(self, scope: Scope, receive: Receive, send: Send) -> None:
        upload = route(scope).rstrip("/").endswith("/upload")
        limit, who, size = FILE + ENVELOPE if upload else MESSAGE, client(scope), 0
        with tempfile.TemporaryFile() if upload else tempfile.SpooledTemporaryFile(MESSAGE) as body:
            try:
                async for chunk in _chunks(receive):
                    size += len(chunk)
                    self.held[who] += len(chunk)
                    if self.held[who] > SHARE:
                        raise _Refused(429, BUSY)
                    if size > 2 * limit:
                        break
                    if size <= limit:
                        body.write(chunk)
                body.seek(0)
                if size > limit:
                    # What is beyond it was read, up to as much again: a client that is answered
                    # while it sends may never see the answer.
                    words = f"Larger than this server takes: {limit // 2**10:,} KiB."
                    await refuse(scope, send, 413, words)
                elif upload and size and _parts(scope, body) > 1:
                    await refuse(scope, send, 400, "One file at a time.")
                else:
                    if upload:
                        await self.accept(scope, size)
                    await self.app(scope, _given(body, size, receive), send)
            except _Refused as refused:
                await refuse(scope, send, *refused.args)
            finally:
                self.held[who] -= size
                if not self.held[who]:
                    del self.held[who]


class _Refused(Exception):
    """A status and words, while a request comes."""


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    """The request's bytes as they come. Raises _Refused, or ClientDisconnect."""
    clock = asyncio.get_running_loop().time
    due, came, more = clock() + IDLE_SECONDS, 0, True
    while more:
        try:
            message = await asyncio.wait_for(receive(), max(due - clock(), 0))
        except (TimeoutError, asyncio.TimeoutError) as error:
            raise _Refused(408, "The request stalled.") from error
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk, more = message.get("body", b""), message.get("more_body", False)
        came += len(chunk)
        if came >= PACE:
            due, came = clock() + IDLE_SECONDS, 0
        yield chunk


def _parts(scope: Scope, body: IO[bytes]) -> int:
    """How many parts a multipart body has; 0 where it is none."""
    _, options = parse_options_header(Headers(scope=scope).get("content-type", ""))
    boundary = options.get(b"boundary")
    if not boundary:
        return 0
    body.flush()
    with mmap.mmap(body.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        found, place = 0, whole.find(b"--" + boundary)
        while place >= 0 and found < 3:
            found += 1
            place = whole.find(b"--" + boundary, place + len(boundary))
    return found - 1  # the last one closes


def _given(body: IO[bytes], size: int, receive: Receive) -> Receive:
    """A `receive` that gives the body, and then whatever comes after it."""
    left = size
    done = False

    async def again() -> Message:
        nonlocal left, done
        if done:
            return await receive()
        chunk = body.read(CHUNK)
        left -= len(chunk)
        done = left <= 0
        return {"type": "http.request", "body": chunk, "more_body": not done}

    return again

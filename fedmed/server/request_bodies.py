"""Requests are taken whole, and within limits, before Gradio sees any of them.

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
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
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


class RequestBodies:
    """ASGI middleware: 413 for what is too large, 408 for what stalls, 429 beyond SHARE, 400 for
    several files in one, 507 where the disk is full.

    Args:
        accept: Awaited with the bytes of an upload before Gradio gets it.
    """

    def __init__(self, app: ASGIApp, accept: Callable[[int], Awaitable[None]]) -> None:
        self.app = app
        self.accept = accept
        self.held: Counter[str] = Counter()  # bytes of each client's requests under way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        tracked = TrackedSend(send)
        try:
            await self._take(scope, receive, tracked)
        except ClientDisconnect:
            return
        except _Refusal as refusal:
            await refuse(scope, send, *refusal.args)
        except OSError as error:
            if tracked.has_begun or error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            log.error("there is no room for uploads: %s", error.strerror)
            await refuse(scope, send, 507, FULL)

    async def _take(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Give the app a request that has come whole. Raises _Refusal, or ClientDisconnect."""
        is_upload = route(scope).rstrip("/").endswith("/upload")
        limit = FILE + ENVELOPE if is_upload else MESSAGE
        with _spool(is_upload) as body, self._held_by(client(scope)) as hold:
            size = await _write(_chunks(receive), body, limit, hold)
            if is_upload:
                if size and _count_parts(scope, body) > 1:
                    raise _Refusal(400, "One file at a time.")
                await self.accept(size)
            await self.app(scope, replay(body, size, receive), send)

    @contextmanager
    def _held_by(self, who: str) -> Iterator[Callable[[int], None]]:
        """Count the bytes of a client's request until it is answered: what is yielded adds some.

        It raises _Refusal where all requests of the client together go beyond SHARE.
        """
        size = 0

        def hold(more: int) -> None:
            nonlocal size
            size += more
            self.held[who] += more
            if self.held[who] > SHARE:
                raise _Refusal(429, BUSY)

        try:
            yield hold
        finally:
            self.held[who] -= size
            if not self.held[who]:
                del self.held[who]


class _Refusal(Exception):
    """A status and a sentence, in answer to a request that was not passed on."""


def _spool(is_upload: bool) -> IO[bytes]:
    return tempfile.TemporaryFile() if is_upload else tempfile.SpooledTemporaryFile(MESSAGE)


async def _write(
    chunks: AsyncIterator[bytes], body: IO[bytes], limit: int, hold: Callable[[int], None]
) -> int:
    """Write a request into `body`, rewind it and return its size. Raises _Refusal.

    What is beyond the limit is read, up to as much again: a client that is answered while it sends
    may never see the answer.
    """
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        hold(len(chunk))
        if size > 2 * limit:
            break
        if size <= limit:
            body.write(chunk)
    if size > limit:
        raise _Refusal(413, f"Larger than this server takes: {limit // 2**10:,} KiB.")
    body.seek(0)
    return size


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    """The request's bytes as they come. Raises _Refusal, or ClientDisconnect."""
    clock = asyncio.get_running_loop().time
    due, came, more = clock() + IDLE_SECONDS, 0, True
    while more:
        try:
            message = await asyncio.wait_for(receive(), max(due - clock(), 0))
        except TimeoutError as error:
            raise _Refusal(408, "The request stalled.") from error
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk, more = message.get("body", b""), message.get("more_body", False)
        came += len(chunk)
        if came >= PACE:
            due, came = clock() + IDLE_SECONDS, 0
        yield chunk


def _count_parts(scope: Scope, body: IO[bytes]) -> int:
    """How many parts a multipart body has, two or any more as 2; 0 where it is none."""
    _, options = parse_options_header(Headers(scope=scope).get("content-type", ""))
    boundary = options.get(b"boundary")
    if not boundary:
        return 0
    body.flush()
    with mmap.mmap(body.fileno(), 0, access=mmap.ACCESS_READ) as content:
        count, index = 0, content.find(b"--" + boundary)
        while index >= 0 and count < 3:
            count += 1
            index = content.find(b"--" + boundary, index + len(boundary))
    return max(count - 1, 0)  # the last one closes


def replay(body: IO[bytes], size: int, receive: Receive) -> Receive:
    """A `receive` that gives `size` bytes of `body`, and then whatever comes after them."""
    left = size
    done = False

    async def receive_again() -> Message:
        nonlocal left, done
        if done:
            return await receive()
        chunk = body.read(CHUNK)
        left -= len(chunk)
        done = left <= 0
        return {"type": "http.request", "body": chunk, "more_body": not done}

    return receive_again

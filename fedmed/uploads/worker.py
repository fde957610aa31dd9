"""The worker process that decodes uploads for `sandbox`: `python -m fedmed.uploads.worker`.

A message is its length and its bytes. One that answers begins with READ, the picture's shape and
its pixels, or with REFUSED and the reason.
"""

from __future__ import annotations

import os
import signal
import struct
import sys
import warnings
from contextlib import suppress
from typing import IO

from fedmed.errors import ImageError
from fedmed.imaging.decode import decode_with_colour

_LENGTH = struct.Struct("<Q")
SHAPE = struct.Struct("<IId")  # width, height, colourfulness
READY, READ, REFUSED = b"S", b"R", b"E"


def write(stream: IO[bytes] | None, *chunks: bytes) -> None:
    """Send one message, given in chunks."""
    assert stream is not None
    stream.write(_LENGTH.pack(sum(map(len, chunks))))
    for chunk in chunks:
        stream.write(chunk)
    stream.flush()


def receive(stream: IO[bytes] | None) -> bytes:
    """Read one message. Raises EOFError where the other side is gone."""
    assert stream is not None
    (length,) = _LENGTH.unpack(_exactly(stream, _LENGTH.size))
    return _exactly(stream, length)


def _exactly(stream: IO[bytes], length: int) -> bytes:
    content = stream.read(length)
    if len(content) < length:
        raise EOFError
    return content


def _serve(requests: IO[bytes], replies: IO[bytes], seconds: float) -> None:
    """The worker: decode one upload after the other until there are no more."""
    while True:
        try:
            data = receive(requests)
        except EOFError:
            return
        _limit_time(seconds)
        try:
            image, colour = decode_with_colour(data)
            shape = SHAPE.pack(*image.size, colour)
            reply = [READ, shape, image.tobytes()]
        except ImageError as error:
            reply = [REFUSED, error.problem.encode()]
        _limit_time(0)
        write(replies, *reply)


def _limit_memory(limit: int) -> None:
    with suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _limit_time(seconds: float) -> None:
    """Have this process killed after so much processor time, whatever code it is in; 0: never."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-C is for the process that started this one
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # What decoders print holds text out of strangers' files: it belongs in no log.
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    warnings.simplefilter("ignore")
    _limit_memory(int(sys.argv[1]))
    replies.write(READY)
    replies.flush()
    _serve(requests, replies, float(sys.argv[2]))

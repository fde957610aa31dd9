"""A stranger's file is decoded in a process of its own, in bounded memory and time.

A few kilobytes can ask a decoder for gigabytes or hours, in more ways than can be listed, and
holding the interpreter's lock all the while. So uploads, and the files that are trained on, are
decoded by a worker that the operating system stops at a limit; the next one gets a new worker.
Workers start when first needed, serve one file at a time, and end with who started them.
"""

from __future__ import annotations

import atexit
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from queue import Empty, LifoQueue
from threading import BoundedSemaphore

import numpy as np
from PIL import Image

from fedmed.errors import ImageError
from fedmed.imaging.decode import Decoded
from fedmed.uploads.worker import READY, REFUSED, SHAPE, receive, write

MAX_WORKERS = max(2, os.cpu_count() or 1)  # that decode at once; who wants more of them waits
MAX_MEMORY = 2 * 2**30  # bytes of address space
MAX_SECONDS = 5.0  # of processor time an upload; the largest honest ones need less than one

# What Python needs to start where it is, and no more: the rest may hold secrets.
_INHERITED = re.compile(
    "PATH|PYTHONHOME|PYTHONUTF8|LD_LIBRARY_PATH|DYLD_.*|SYSTEMROOT|LANG|LC_.*|TMPDIR|TEMP|TMP"
)

_slots = BoundedSemaphore(MAX_WORKERS)
_idle: LifoQueue[subprocess.Popen[bytes]] = LifoQueue()


def read(data: bytes) -> Decoded:
    """`decode_with_colour` in a worker. Threads may call this at once.

    Where the system has no such limits (Windows), memory and time are as unbounded as in
    `imaging.decode`.

    Raises:
        ImageError: as `imaging.decode` does, or decoding took too much time or memory.
    """
    with _slots:
        worker = _take()
        try:
            write(worker.stdin, data)
            answer = receive(worker.stdout)
        except (OSError, EOFError) as error:
            _end(worker)
            if worker.returncode == -getattr(signal, "SIGPROF", 0):
                raise ImageError("The image takes too long to decode.") from error
            raise ImageError("The image is damaged or needs too much memory.") from error
        except BaseException:
            _end(worker)
            raise
        _idle.put(worker)
    kind, content = answer[:1], memoryview(answer)[1:]
    if kind == REFUSED:
        raise ImageError(str(content, "utf-8"))
    width, height, colour = SHAPE.unpack_from(content)
    pixels = np.frombuffer(content, np.uint8, offset=SHAPE.size).reshape(height, width)
    return Decoded(Image.fromarray(pixels), colour)


@atexit.register
def stop() -> None:
    """End the workers that wait for uploads."""
    with suppress(Empty):
        while True:
            _end(_idle.get_nowait())


def _take() -> subprocess.Popen[bytes]:
    """A worker that waits for an upload: an idle one, or a new one."""
    with suppress(Empty):
        while True:
            worker = _idle.get_nowait()
            if worker.poll() is None:
                return worker
            _end(worker)
    worker = subprocess.Popen(
        [sys.executable, "-m", "fedmed.uploads.worker", str(MAX_MEMORY), str(MAX_SECONDS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
    )
    if worker.stdout is None or worker.stdout.read(1) != READY:
        _end(worker)
        raise RuntimeError("the process that decodes uploads did not start")
    return worker


def environment() -> dict[str, str]:
    """What a Python of the app's own needs to start, and nothing that may be secret."""
    inherited = {name: value for name, value in os.environ.items() if _INHERITED.fullmatch(name)}
    return inherited | {
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)]),
        "OPENBLAS_NUM_THREADS": "1",  # each of its threads would reserve address space
    }


def _end(worker: subprocess.Popen[bytes]) -> None:
    worker.kill()
    with suppress(OSError):  # what was left to send
        worker.communicate()

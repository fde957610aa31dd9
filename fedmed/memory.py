"""Memory that goes back to the system when it is free; where the C library is glibc."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress

LARGE_BYTES = 4_000_000  # of a block that goes back at once
_THRESHOLD = -3  # M_MMAP_THRESHOLD, in glibc's malloc.h


def give_back_large_blocks() -> None:
    """From now on, give tensors of whole networks back as soon as they are freed.

    glibc would keep them in pieces, for blocks of other sizes do not fit in: of batches of each
    hospital's own size, a third of what a process that trains has. Where PyTorch has made no tensor
    yet, they come in large pages, without which each small one costs a fault.
    """
    os.environ["THP_MEM_ALLOC_ENABLE"] = "1"
    _glibc("mallopt", _THRESHOLD, LARGE_BYTES)
    give_back()


def give_back() -> None:
    """Give back what is free now, once: where many threads came and went, it lies in pieces."""
    _glibc("malloc_trim", 0)


def _glibc(name: str, *numbers: int) -> None:
    with suppress(AttributeError, OSError, TypeError):  # no such function, or no such library
        getattr(ctypes.CDLL(None), name)(*numbers)

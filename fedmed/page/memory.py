"""Memory that is free is given back to the system.

Many threads come and go with pictures, and glibc keeps what each of them freed, in pieces: for
hours of use the app would hold a little more every minute.
"""

from __future__ import annotations

import asyncio
import ctypes
from contextlib import suppress

from gradio.routes import App


async def trim(app: App) -> None:
    """Give back what is free, for `Sweeping`; nothing where the system's C library is another."""
    with suppress(AttributeError, OSError, TypeError):  # no such function, or no such library
        await asyncio.to_thread(ctypes.CDLL(None).malloc_trim, 0)

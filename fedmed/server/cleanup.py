"""What visitors leave behind is deleted on schedule while the app runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from gradio.routes import App

from fedmed.memory import give_back
from fedmed.uploads.storage import EVERY

log = logging.getLogger(__name__)


class Cleanup:
    """Runs sweeps on schedule; one that fails stops neither the others nor its next turn.

    Args:
        sweeps: Each is awaited with the app.
        every: Seconds between them.
    """

    def __init__(self, *sweeps: Callable[[App], Awaitable[None]], every: float = EVERY) -> None:
        self.sweeps, self.every = sweeps, every

    @contextlib.asynccontextmanager
    async def lifespan(self, app: App) -> AsyncIterator[None]:
        """Sweep while the app runs; for `app_kwargs` of launch()."""
        sweeping = asyncio.create_task(self._sweep_on_schedule(app))
        try:
            yield
        finally:
            sweeping.cancel()

    async def _sweep_on_schedule(self, app: App) -> None:
        while True:
            await asyncio.sleep(self.every)
            for sweep in self.sweeps:
                try:
                    await sweep(app)
                except Exception:  # the next one may find it mended
                    log.exception("a sweep failed")


async def trim(app: App) -> None:
    """Give free memory back to the system.

    Many threads come and go with pictures, and glibc keeps what each of them freed, in pieces: for
    hours of use the app would hold a little more every minute.
    """
    await asyncio.to_thread(give_back)

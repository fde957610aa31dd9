"""What visitors leave behind is swept away on schedule, while the app runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from gradio.routes import App

EVERY = 60.0  # seconds between sweeps
OLD = 540.0  # seconds until something is swept
KEPT_MINUTES = round((EVERY + OLD) / 60)

log = logging.getLogger(__name__)


class Sweeping:
    """Sweeps, each awaited with the app, and again every so many seconds."""

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

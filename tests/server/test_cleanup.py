"""Sweeps come again, whatever one of them meets."""

from __future__ import annotations

import asyncio

from fedmed.page import about
from fedmed.server.cleanup import Cleanup
from fedmed.uploads import storage
from tests.support.reports import example_config


def test_a_sweep_that_fails_stops_neither_the_next_nor_the_others(caplog):
    swept = []
    trouble = [OSError("first"), RuntimeError("second")]

    async def fails(app):
        if trouble:
            raise trouble.pop()
        swept.append("mended")

    async def works(app):
        swept.append(app)

    async def run():
        async with Cleanup(fails, works, every=0.01).lifespan("app"):
            while "mended" not in swept:
                await asyncio.sleep(0.01)
        swept.clear()
        await asyncio.sleep(0.1)

    asyncio.run(asyncio.wait_for(run(), 30))
    assert not swept, "swept on after the app"
    assert caplog.text.count("a sweep failed") == 2


def test_the_page_promises_no_less(stored):
    """What is told to visitors is the schedule."""
    words = about.html(example_config(), stored)
    assert f"deleted within {storage.KEPT_MINUTES} minutes" in words
    assert storage.EVERY + storage.OLD <= 60 * storage.KEPT_MINUTES

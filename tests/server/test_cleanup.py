"""Sweeps come again, whatever one of them meets; free memory goes back to the system."""

from __future__ import annotations

import asyncio
import platform
import subprocess
import sys

import pytest

from fedmed.page import about
from fedmed.server.cleanup import Cleanup
from fedmed.uploads import storage
from tests.support.reports import example_config

# Blocks that malloc takes from its heap: all but the last are free, and stay with the process.
HELD = """
import asyncio
import sys
from pathlib import Path

from fedmed.server.guards import guard
from fedmed.uploads.storage import Uploads

def resident():
    status = open("/proc/self/status").read()
    return int(status.split("VmRSS:")[1].split()[0]) // 1024

async def main():
    blocks = [bytearray(b"x" * 50_000) for _ in range(4000)]
    del blocks[:-1]
    held = resident()
    async with guard(Uploads(Path(sys.argv[1])), every=0.05)["lifespan"](None):
        await asyncio.sleep(0.5)
    print(held - resident())

asyncio.run(main())
"""


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
    page = about.html(example_config(), stored)
    assert f"deleted within {storage.KEPT_MINUTES} minutes" in page
    assert storage.EVERY + storage.OLD <= 60 * storage.KEPT_MINUTES


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_free_memory_goes_back_to_the_system(tmp_path):
    command = [sys.executable, "-c", HELD, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 100, "MiB"
    assert "a sweep failed" in done.stderr, "without an app, the others fail"

"""What is freed in pieces goes back to the system while the app runs."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# Blocks that malloc takes from its heap: all but the last are free, and stay with the process.
HELD = """
import asyncio
from fedmed.server.guards import guarded
from fedmed.uploads.storage import Uploads
from fedmed.server.sessions import Sessions

def resident():
    status = open("/proc/self/status").read()
    return int(status.split("VmRSS:")[1].split()[0]) // 1024

async def main():
    blocks = [bytearray(b"x" * 50_000) for _ in range(4000)]
    del blocks[:-1]
    held = resident()
    async with guarded(Uploads(), Sessions(), every=0.05)["lifespan"](None):
        await asyncio.sleep(0.5)
    print(held - resident())

asyncio.run(main())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_free_memory_goes_back():
    done = subprocess.run([sys.executable, "-c", HELD], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 100, "MiB"
    assert "a sweep failed" in done.stderr, "without an app, the others fail"

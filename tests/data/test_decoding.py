"""Pixels of many X-rays: in memory while they are looked at, in their file else."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fedmed.data.cohort import Xray
from fedmed.data.decoding import decode_all, put_aside

COUNT = 200  # of 49 KiB


def xray(number: int) -> Xray:
    picture = Image.new("L", (224, 224), number)
    return Xray(f"{number}.png", 0, f"{number:064x}", "patient", lambda: picture)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_is_put_aside_takes_no_memory_and_is_all_there() -> None:
    def mapped() -> int:
        status = Path("/proc/self/status").read_text()
        return 1024 * sum(map(int, re.findall(r"Rss(?:File|Shmem):\s+(\d+)", status)))

    pixels = decode_all([xray(number) for number in range(COUNT)])
    held = mapped()
    put_aside(pixels)
    assert held - mapped() > 0.9 * pixels.nbytes
    assert (pixels == np.arange(COUNT, dtype=np.uint8)[:, None, None]).all()


def test_what_lies_in_memory_stays_there() -> None:
    pixels = np.ones((1, 224, 224), np.uint8)
    put_aside(pixels)
    assert pixels.all()

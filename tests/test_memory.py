"""What is freed goes back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import re
from pathlib import Path

import numpy as np

from fedmed.memory import LARGE_BYTES, give_back_large_blocks

def held():
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024

{first}
# Freed once, so large a block makes glibc keep what is as large from then on.
np.ones(30 * 2**20, np.uint8)
before = held()
some = [np.ones(LARGE_BYTES, np.uint8) for _ in range(40)]
last = some[-1]
del some
print(held() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_is_freed_is_not_kept_below_what_is_in_use() -> None:
    kept = {}
    for first in ("", "give_back_large_blocks()"):
        done = subprocess.run(
            [sys.executable, "-c", CODE.format(first=first)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        kept[first] = int(done.stdout)
    assert kept["give_back_large_blocks()"] < 20 < 100 < kept[""]  # MiB

"""What the soak takes for a leak, and for an error that nothing explains."""

from __future__ import annotations

import sys

import pytest

from tests.endurance import soak
from tests.endurance.soak import Sample, swollen, tracebacks

STEADY = Sample(0, memory_mib=1000, open_files=30, threads=20, uploads=9, uploads_mib=1, oldest=500)
EXPLAINED = """Traceback (most recent call last):
  File "x.py", line 1, in x
gradio.exceptions.InvalidPathError: Cannot move /etc/passwd
"""


def grown(**to: float) -> list[str]:
    return swollen(STEADY, [STEADY] * 6 + [STEADY._replace(**to)] * 3, STEADY)


def test_an_app_that_holds_is_told_nothing_of():
    assert swollen(STEADY, [STEADY] * 9, STEADY) == []
    assert grown(memory_mib=1030, uploads=900) == []


@pytest.mark.parametrize(
    ("to", "word"),
    [
        ({"memory_mib": 1040}, "memory"),
        ({"open_files": 50}, "open_files"),
        ({"threads": 30}, "threads"),
        ({"oldest": 900}, "An upload was 15 minutes old"),
    ],
)
def test_what_grows_is_named(to, word):
    found = grown(**to)
    assert len(found) == 1 and word in found[0]


def test_files_left_open_are_named():
    found = swollen(STEADY, [STEADY] * 9, STEADY._replace(open_files=40))
    assert found == ["30 files were open before the callers came, 40 after they left."]


def test_more_threads_than_the_pools_have():
    assert swollen(STEADY, [STEADY._replace(threads=65)] * 9, STEADY) == ["There were 65 threads."]


def test_errors_in_the_log_are_told_apart():
    log = EXPLAINED + "a line\n" + EXPLAINED + EXPLAINED.replace("gradio.exceptions.Inv", "Inv")
    assert tracebacks(log) == ({"gradio.exceptions.InvalidPathError": 2, "InvalidPathError": 1}, [])
    odd = EXPLAINED.replace("gradio.exceptions.InvalidPathError", "ZeroDivisionError")
    assert tracebacks(odd)[1] == ["In the log: ZeroDivisionError: Cannot move /etc/passwd"]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_short_one_holds(monkeypatch):
    """Half an hour is for `python -m tests.endurance.soak`."""
    monkeypatch.setattr(soak, "SETTLE_SECONDS", 1)
    result = soak.soak(minutes=0.12, callers=4, seed=0)
    assert result["unexplained"] == []
    assert result["outcomes"]["film"]["answered"] > 0
    assert len(result["samples"]) > 3

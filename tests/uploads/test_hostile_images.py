"""Every image of the table, read as the app reads uploads, in one process of bounded memory."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest

pytest.importorskip("pydicom")
pytest.importorskip("resource", reason="this system has no limits on memory and time")

from fedmed.uploads import sandbox
from tests.support.hostile_images import TOO_COSTLY, Case, cases

TABLE = {case.name: case for case in cases()}


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.support.read_hostile_images"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_the_table_is_as_long_as_it_says() -> None:
    assert len(TABLE) == len(cases()) >= 60


@pytest.mark.parametrize("case", TABLE.values(), ids=TABLE)
def test_right_pixels_or_one_clear_sentence(case: Case, results: dict[str, Any]) -> None:
    result = results["cases"][case.name]
    if "says" in result:
        wanted = TOO_COSTLY if case.costly else case.says
        assert wanted, result["says"]
        assert re.search(wanted, result["says"])
        assert re.fullmatch(
            r"[^<>&\n]{,250} Accepted: JPEG, PNG, DICOM, TIFF, BMP or WebP\.", result["says"]
        )
    else:
        assert not case.says
        assert result["off"] <= case.tolerance
    assert result["next"], "the next visitor's image came out differently"


def test_memory_was_bounded(results: dict[str, Any]) -> None:
    assert results["workers_peak"] < sandbox.MAX_MEMORY
    assert results["reader_peak"] < 2**30

"""SECURITY.md's counts are those of the tests and of the runs whose results are kept."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PAGE = (REPOSITORY / "SECURITY.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (.+) \| (.+) \| (.+) \|$", PAGE, re.MULTILINE)
COUNTED = [row for row in ROWS if re.fullmatch(r"\d+", row[1])]


def kept(path: str) -> dict:
    return json.loads((REPOSITORY / path).read_text(encoding="utf-8"))


def test_runs():
    soak = kept("benchmarks/results/soak.json")
    assert f"| {soak['calls']:,} calls |" in PAGE and not soak["unexplained"]
    crashes = kept("benchmarks/results/crashes.json")
    assert not crashes["failed"]
    assert f"| {sum(crashes['tried'].values())}; " in PAGE
    fuzzed = kept("fuzz/results.json")
    inputs = sum(run["executions"] for run in fuzzed["runs"])
    assert f"| {inputs / 1e6:.1f} million inputs |" in PAGE


@pytest.mark.parametrize("row", COUNTED, ids=lambda row: row[0][:30])
def test_counts_of_tests(row: tuple[str, str, str], request: pytest.FixtureRequest):
    """Judged where whole files are run: by what was collected."""
    if request.config.option.keyword or any("::" in arg for arg in request.config.args):
        pytest.skip("some tests are left out")
    collected = Counter(
        item.path.relative_to(REPOSITORY).as_posix() for item in request.session.items
    )
    files = re.findall(r"`(tests/[\w/]+\.py)`", row[2])
    counts = [collected[name] for name in files]
    if not all(counts):
        pytest.skip("not all of these files are run")
    assert files and sum(counts) == int(row[1]), files


def test_there_are_counts():
    assert len(COUNTED) >= 8

"""SECURITY.md's counts are those of the runs whose results are kept, and its files are there."""

from __future__ import annotations

import json
import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PAGE = (REPOSITORY / "SECURITY.md").read_text(encoding="utf-8")


def kept(path: str) -> dict:
    return json.loads((REPOSITORY / path).read_text(encoding="utf-8"))


def test_runs():
    soak = kept("tests/endurance/results/soak.json")
    assert f"| {soak['calls']:,} calls |" in PAGE and not soak["unexplained"]
    crashes = kept("tests/endurance/results/crashes.json")
    assert not crashes["failed"]
    assert f"| {sum(crashes['tried'].values())}; " in PAGE
    fuzzed = kept("tests/fuzz/results.json")
    inputs = sum(run["executions"] for run in fuzzed["runs"])
    assert f"| {inputs / 1e6:.1f} million inputs |" in PAGE


def test_every_file_that_it_names_is_there():
    named = re.findall(r"`([\w/]+\.py)`", PAGE)
    assert len(named) > 20
    folders = (REPOSITORY, REPOSITORY / "fedmed" / "server")
    missing = [path for path in named if not any((folder / path).exists() for folder in folders)]
    assert not missing

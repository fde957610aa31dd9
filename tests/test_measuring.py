"""What the benchmarks share: everything takes turns, and tables line up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import measuring


def test_works_take_turns_and_the_first_does_not_count() -> None:
    calls: list[str] = []
    works = {name: (lambda name=name: calls.append(name)) for name in ("ours", "peer")}
    seconds = measuring.in_turns(3, works)
    assert calls == ["ours", "peer"] * 4
    assert {name: len(found) for name, found in seconds.items()} == {"ours": 3, "peer": 3}


def test_the_middle_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "in_turns", lambda *_: {"ours": [9.0, 1.0, 2.0]})
    assert measuring.median_of(3, {"ours": int}) == {"ours": 2.0}


def test_a_table_lines_up() -> None:
    rows = [{"what": "floor", "seconds": 1234.56}, {"what": "ours", "seconds": 0.012345}]
    assert measuring.table(rows).splitlines() == [
        "| what  | seconds |",
        "| ----- | ------- |",
        "| floor | 1,235   |",
        "| ours  | 0.0123  |",
    ]


def test_a_result_says_where_it_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "RESULTS", tmp_path / "results")
    written = json.loads(measuring.write("topic", {"ratio": 2.0}).read_text())
    assert written["ratio"] == 2.0
    assert written["machine"]["cores"] >= 1
    assert "torch" in written["machine"]["versions"]

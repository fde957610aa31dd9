"""What a log says of a long step."""

from __future__ import annotations

import itertools
import re
import time
from types import SimpleNamespace

import pytest

from fedmed import progress
from fedmed.progress import Progress, clock, step


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVERY_SECONDS", 0.3)


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    out, err = capsys.readouterr()
    assert err == ""
    told = out.splitlines()
    assert all(re.match(r"\d+:\d\d  ", line) for line in told), "each has the time"
    return [line.split("  ", 1)[1] for line in told]


def test_a_log_has_a_line_now_and_then_and_not_one_an_image(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = itertools.count(time.monotonic(), 0.02)  # passed whenever the clock is looked at
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    with Progress("Passes", 10_000) as passes:
        for _ in range(100):
            passes.update(100)
    told = lines(capsys)
    assert (told[0], told[-1]) == ("Passes: 10,000", "Passes: 10,000 of 10,000")
    assert 3 <= len(told) <= 10


def test_a_short_step_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(Progress("Reading", 3).over("abc")) == ["a", "b", "c"]
    assert lines(capsys) == ["Reading: 3"]


@pytest.mark.slow
def test_a_step_that_says_nothing_itself_is_said_to_go_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with step("Scoring"):
        time.sleep(2.2)
    told = lines(capsys)
    assert told[0] == "Scoring" and set(told[1:]) == {"Scoring: still at it"}
    time.sleep(1.2)
    assert lines(capsys) == [], "it ended"


def test_times_read_as_on_a_clock() -> None:
    assert [clock(7), clock(67.9), clock(3723)] == ["0:07", "1:07", "1:02:03"]

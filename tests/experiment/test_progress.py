"""Lines of progress: who, how far, how fast, how long yet; and few enough to read."""

from __future__ import annotations

import pytest

from fedmed.experiment.progress import SILENT_SECONDS, Memory, Progress, duration
from fedmed.training.network_trainer import Said
from fedmed.training.workers import Peak, peak_bytes


def said(images: int, *, chain: str = "federated", site: str = "hospital_2", done: bool = False):
    return Said(chain, site, 3, images, 2.0, done, process=7, peak=Peak(own=2**30, shared=2**28))


def test_a_line_says_who_how_far_how_fast_and_how_long_yet(capsys) -> None:
    now = [0.0]
    progress = Progress(400, {"federated": 15, "central": 15}, clock=lambda: now[0])
    now[0] = 60.0
    progress(said(100, done=True))
    assert capsys.readouterr().out.endswith(
        "  federated, hospital 2: epoch 3 of 15, 50 images/s; 25 % of all, 3 min left\n"
    )
    now[0] = 120.0
    progress(said(300, chain="central", site="central", done=True))
    out = capsys.readouterr().out
    assert "  central: epoch 3" in out and out.endswith("100 % of all, 0 s left\n")


def test_what_is_left_is_not_told_from_the_first_slow_batches(capsys) -> None:
    now = [0.0]
    progress = Progress(100_000, {"federated": 15}, clock=lambda: now[0])
    for images in (32, 968):
        now[0] += SILENT_SECONDS
        progress(said(images))
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("; 0 % of all") and second.endswith("1 % of all, 66 min left")


def test_between_two_ends_it_speaks_now_and_then(capsys) -> None:
    now = [0.0]
    progress = Progress(1000, {"federated": 15}, clock=lambda: now[0])
    for second in range(61):
        now[0] = float(second)
        progress(said(1))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 60 // SILENT_SECONDS
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("seconds", "words"), [(4.4, "4 s"), (89, "89 s"), (100, "2 min"), (5400, "1 h 30 min")]
)
def test_durations_are_told_as_people_do(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_memory_is_that_of_all_processes_at_their_peaks() -> None:
    memory = Memory()
    before = peak_bytes()
    for process, peak in ((1, 3), (1, 2), (2, 4)):
        of_a_worker = Peak(own=peak * 2**30, shared=2**29)
        memory(said(1)._replace(process=process, peak=of_a_worker))
    assert memory.gib() == pytest.approx(3 + 4 + 0.5 + before / 2**30, abs=0.1)

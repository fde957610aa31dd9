"""Processes that work side by side: what they say, how they end, and what happens if one dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from fedmed.errors import UserError
from fedmed.training.workers import Here, Stopped, Tell, Workers, peak_bytes, result

ROOT = Path(__file__).parents[2]


def talking(number: int, tell: Tell) -> tuple[int, int, int]:
    tell(("at work", number))
    return number * number, torch.get_num_threads(), os.getpid()


def dying(number: int, tell: Tell) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def endless(number: int, tell: Tell) -> None:
    while True:
        tell("still here")
        time.sleep(0.01)


def failing(number: int, tell: Tell) -> None:
    raise UserError(f"number {number} is no good")


def test_jobs_run_elsewhere_on_one_thread_and_all_they_say_is_heard() -> None:
    said: list[object] = []
    with Workers(2, said.append) as workers:
        futures = [workers.submit(talking, number) for number in range(5)]
        made = [result(future) for future in futures]
    assert [square for square, _, _ in made] == [0, 1, 4, 9, 16]
    assert {threads for _, threads, _ in made} == {1}
    assert os.getpid() not in {process for _, _, process in made}
    assert sorted(said) == [("at work", number) for number in range(5)]  # type: ignore[type-var]


def main() -> None:
    with Workers(1) as workers:
        print(workers.submit(talking, 3).result(timeout=60)[0])


def test_the_folder_for_temporary_files_may_have_a_long_name(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    code = "from tests.training.test_workers import main\nif __name__ == '__main__':\n    main()"
    (tmp_path / "run.py").write_text(code)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "run.py")],
        env=os.environ | {"TMPDIR": str(folder), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "9\n", done.stderr


def test_an_error_is_the_jobs_own_and_a_death_is_one_sentence() -> None:
    with Workers(1) as workers:
        with pytest.raises(UserError, match="number 7 is no good"):
            result(workers.submit(failing, 7))
        with pytest.raises(UserError, match=r"process was ended.*--resume.*--workers"):
            result(workers.submit(dying, 0))


def chatty(number: int, tell: Tell) -> int:
    for _ in range(2000):  # more than a pipe holds
        tell("x" * 200)
    return number


def test_jobs_end_though_nobody_can_be_told() -> None:
    def gone(said: object) -> None:
        raise BrokenPipeError

    with Workers(1, gone) as workers:
        assert workers.submit(chatty, 3).result(timeout=60) == 3


def test_stopping_ends_what_would_never_end() -> None:
    heard: list[object] = []
    with Workers(1, heard.append) as workers:
        future = workers.submit(endless, 0)
        while not heard:
            time.sleep(0.01)
    with pytest.raises(Stopped):
        future.result(timeout=10)


def test_peak_memory_is_told() -> None:
    assert peak_bytes() > 2**26


def test_here_a_job_is_done_in_this_process_when_it_is_submitted() -> None:
    said: list[object] = []
    future = Here(said.append).submit(talking, 3)
    assert said == [("at work", 3)]
    assert result(future) == (9, torch.get_num_threads(), os.getpid())
    with pytest.raises(UserError, match="number 4 is no good"):
        Here().submit(failing, 4)

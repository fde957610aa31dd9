"""The exit status and the last words of every command."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors import SafetensorError

from fedmed.cli import command, python, run
from fedmed.errors import UserError
from fedmed.hub.failures import FetchError, PublishError


def failing(error: BaseException) -> Callable[[], None]:
    def main() -> None:
        raise error

    return main


def test_done_is_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(lambda: print("done")) == 0
    assert capsys.readouterr() == ("done\n", "")


def test_what_the_user_can_mend_is_2_and_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(failing(UserError("no such folder: x"))) == 2
    assert capsys.readouterr() == ("", "error: no such folder: x\n")


@pytest.mark.parametrize("error", [PublishError("the Hub is away"), FetchError("the Hub is away")])
def test_a_failing_hub_is_1_without_a_traceback(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(failing(error)) == 1
    assert capsys.readouterr().err == "error: the Hub is away\n"


def test_anything_else_is_1_with_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(failing(ZeroDivisionError("oh"))) == 1
    error = capsys.readouterr().err
    assert "Traceback" in error and error.endswith("ZeroDivisionError: oh\n")


def test_interrupted_is_130_and_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(failing(KeyboardInterrupt()), resume_hint="Use --resume.") == 130
    assert "Use --resume." in capsys.readouterr().err
    assert run(failing(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "\ninterrupted.\n"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "snapshot.partial/run.json.1.partial"),
        OSError(errno.EROFS, "Read-only file system", "snapshot.partial"),
        SafetensorError(
            "Error while serializing: I/O error: No space left on device (os error 28)"
        ),
    ],
)
def test_a_disk_that_takes_no_more_is_1_without_a_traceback(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(failing(error), resume_hint="Use --resume.") == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ") and "Traceback" not in said
    assert "No space left" in said or "Read-only" in said
    assert said.endswith("Make room or give access. Use --resume.\n")
    if isinstance(error, OSError):
        assert error.filename in said


def test_another_error_of_the_system_keeps_its_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(failing(OSError(errno.EIO, "Input/output error", "x"))) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_hint_is_made_once_it_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(lambda: None, resume_hint=lambda: pytest.fail("nobody asked")) == 0
    assert run(failing(KeyboardInterrupt()), resume_hint=lambda: "Round 3 is kept.") == 130
    assert "interrupted. Round 3 is kept.\n" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="there it is a line of PowerShell")
def test_a_command_that_is_printed_works_where_it_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv" / "bin" / "python"))
    monkeypatch.chdir(tmp_path)
    line = command("-c", "import os; print(os.environ['NAME'])", NAME="of a 'folder'")
    assert " .venv/bin/python -c " in line
    assert subprocess.check_output(line, shell=True, text=True) == "of a 'folder'\n"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert python() == str(tmp_path / ".venv" / "bin" / "python")
    monkeypatch.chdir(tmp_path / ".venv" / "bin")
    assert python() == "./python", "without a slash it would be looked for on the path"
    monkeypatch.setenv("PATH", str(tmp_path / ".venv" / "bin"))
    assert python() == "python"

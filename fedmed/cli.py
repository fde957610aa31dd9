"""What all commands share: exit statuses, and command lines that work as they are printed."""

from __future__ import annotations

import argparse
import errno
import os
import re
import shlex
import shutil
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fedmed.errors import UserError

# What a disk says that takes no more.
STORAGE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}


def run(main: Callable[[], None], *, resume_hint: str | Callable[[], str] | None = None) -> int:
    """Run a command and return its exit status.

    0 done; 2 what the user can mend (one message, no traceback); 130 interrupted (and
    `resume_hint`, told once it is needed); 1 anything else: a full or read-only disk in one message
    (and `resume_hint`), the rest with a traceback. An error may bring its own `exit_status`.
    """
    try:
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print(f"\ninterrupted.{_told(resume_hint)}", file=sys.stderr)
        return 130
    except Exception as error:
        if fault := _storage_fault(error):
            print(f"error: {fault}. Make room or give access.{_told(resume_hint)}", file=sys.stderr)
        else:
            traceback.print_exc()
        return 1
    return 0


@dataclass(frozen=True)
class Elsewhere:
    """Where lies what a run read and its snapshot does not hold; None is where its options say."""

    data: str | None = None  # its X-rays
    patients: str | None = None  # the table that tells whose they are
    backbone: str | None = None  # what networks began from

    @classmethod
    def of(cls, options: argparse.Namespace) -> Elsewhere:
        """From the options of `parser_of_run`."""
        return cls(options.data, options.patients, options.backbone)


def parser_of_run(name: str, description: str) -> argparse.ArgumentParser:
    """The options of a command that takes the run of a snapshot up again."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {name}", description=description, allow_abbrev=False
    )
    parser.add_argument("snapshot", metavar="SNAPSHOT", type=Path, help="folder train.py wrote")
    parser.add_argument(
        "--data", metavar="DIR", help="where its X-rays are, if they were in a folder"
    )
    parser.add_argument(
        "--patients", metavar="CSV", help="the table that tells whose they are, if it had one"
    )
    parser.add_argument(
        "--backbone", metavar="PATH", help="what its networks began from, if it was your own"
    )
    return parser


def python() -> str:
    """How to call the Python that runs, from this folder: `.venv/bin/python` after `make`."""
    here = Path(sys.executable)
    on_path = shutil.which("python")
    if on_path and Path(on_path) == here:
        return "python"
    with suppress(ValueError):
        here = here.relative_to(Path.cwd())
    return shlex.quote(str(here) if here.parent != Path() else os.path.join(".", here))


def command(*words: str, **variables: str) -> str:
    """A command line of Python that works as it is printed, on this system, in this folder."""
    line = f"{python()} {shlex.join(words)}"
    if os.name == "nt":
        return "".join(f"$env:{name}='{text}'; " for name, text in variables.items()) + line
    given = [f"{name}={shlex.quote(text)} " for name, text in variables.items()]
    return "".join(given) + line


def _told(hint: str | Callable[[], str] | None) -> str:
    text = hint() if callable(hint) else hint
    return f" {text}" if text else ""


def _storage_fault(error: Exception) -> str | None:
    """What a disk refused, if that is what an error is about."""
    # safetensors writes in Rust, whose errors bring the number of the system's in their text.
    found = re.search(r"\(os error (\d+)\)", str(error))
    number = error.errno if isinstance(error, OSError) else int(found[1]) if found else None
    if number not in STORAGE:
        return None
    name = getattr(error, "filename", None)
    return f"{name} cannot be written: {os.strerror(number)}" if name else os.strerror(number)

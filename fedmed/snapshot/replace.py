"""Where a snapshot may be written, and how it takes the place of another: whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from fnmatch import fnmatch
from pathlib import Path

from filelock import FileLock, Timeout

from fedmed.errors import UserError
from fedmed.files import is_text, read_json
from fedmed.snapshot.manifest import CARD, CONFIG, verify


def check_output(folder: Path) -> None:
    """Refuse, before any work, a place where a snapshot cannot or should not be written.

    Raises:
        UserError: the folder holds anything else than a snapshot, or cannot be replaced.
    """
    if folder.name in ("", ".."):
        raise UserError(f"--output {folder}: give the folder a name, such as snapshot.")
    if not is_text(str(folder)):
        raise UserError(f"--output {str(folder)!a}: the name is not UTF-8; give another.")
    try:
        os.lstat(_retired(folder))  # the longest of the names that a run needs there
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise UserError(f"--output {folder}: the name is too long; shorten it.") from error
    if folder.is_symlink() or os.path.ismount(folder):
        raise UserError(
            f"--output {folder} is a link or a mounted disk, which a snapshot cannot replace; "
            "name a folder on it."
        )
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--output {folder} is a file; name a folder.")
    if stranger := _stranger(folder):
        raise UserError(
            f"--output {folder} would be replaced, and it holds {stranger}, which belongs to no "
            "snapshot; name another folder."
        )
    parent = next(path for path in folder.absolute().parents if path.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise UserError(f"--output {folder}: {parent} cannot be written.")


@contextmanager
def claim(folder: Path) -> Iterator[None]:
    """Keep other runs away from an output, and mend what a killed one left of it.

    The system lets go of the claim of a process that dies.

    Raises:
        UserError: another run has it, or what is left there cannot be removed.
    """
    missing = [parent for parent in folder.absolute().parents if not parent.exists()]
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout as error:
        raise UserError(
            f"--output {folder}: another run is writing there. Wait for it, or name another folder."
        ) from error
    except OSError as error:
        raise UserError(f"--output {folder} cannot be written: {error.strerror}.") from error
    try:
        _put_back(folder)
        if os.path.lexists(_retired(folder)):
            raise UserError(
                f"--output {folder}: {_retired(folder)} is what is left of an older snapshot, and "
                "cannot be removed. Remove it, or name another folder."
            )
        yield
    finally:
        with suppress(OSError):  # while it is held: on Windows releasing it removes it
            os.unlink(lock.lock_file)
        lock.release()
        with suppress(OSError):  # what a run that was refused did not need
            for parent in missing:
                parent.rmdir()


def mend(folder: Path) -> None:
    """Put an old snapshot back that a killed run had moved away; nothing else is touched.

    For whoever reads: while a run has claimed the folder, that is the run's own to do.
    """
    if not os.path.exists(folder) and os.path.isdir(_retired(folder)):
        with suppress(UserError, OSError), claim(folder):
            pass


def move_into_place(aside: Path, folder: Path) -> None:
    """Make `aside` the snapshot at `folder`; what was there stays until the new one is whole.

    Raises:
        UserError: something else was put into `folder` since `check_output` looked.
    """
    verify(aside)
    _to_disk(aside)
    try:
        check_output(folder)
    except UserError as error:
        raise UserError(
            f"{error}\nWhat was trained is kept: once nothing is in the way, the same command "
            "with --resume goes on from here."
        ) from error
    retired = _retired(folder)
    shutil.rmtree(retired, ignore_errors=True)
    try:
        if folder.exists():
            folder.rename(retired)
        aside.rename(folder)
    except BaseException:
        _put_back(folder)
        raise
    shutil.rmtree(retired, ignore_errors=True)


def _to_disk(folder: Path) -> None:
    """Wait until it is: after a power cut, a name may be there without what was written under it.

    A file that the disk does not take raises OSError; not every system syncs folders.
    """
    for path in [*folder.rglob("*"), folder]:
        with suppress(OSError) if path.is_dir() else nullcontext():
            file = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
            try:
                os.fsync(file)
            finally:
                os.close(file)


def _put_back(folder: Path) -> None:
    """Undo or finish a replacement that was stopped, by a kill for one."""
    retired = _retired(folder)
    if retired.is_dir() and not folder.exists():
        retired.rename(folder)
    shutil.rmtree(retired, ignore_errors=True)


def _retired(folder: Path) -> Path:
    """Where the old snapshot is for the moment between two renames. No other use of the name."""
    return folder.with_name(f".{folder.name}.fedmed-retired")


def _stranger(folder: Path) -> str | None:
    """The name of a file in `folder` that is neither a snapshot's nor a backbone's, if any."""
    try:
        listed = set(read_json(folder / CONFIG)["files"]) | {CONFIG, CARD}
    except (OSError, ValueError, KeyError, TypeError):
        listed = set()
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        is_folder = path.is_dir() and not path.is_symlink()
        if not is_folder and name not in listed and not fnmatch(name, "backbone*.safetensors*"):
            return name
    return None

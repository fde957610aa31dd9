"""Uploads lie in a folder of this process's own, and are deleted on schedule.

Gradio's `delete_cache` forgets files of uploads that broke off or that no event asked for, and
never removes a folder. Here whatever lies in the folder is deleted, whoever put it there.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, MutableMapping
from pathlib import Path

from filelock import FileLock, Timeout

EVERY = 60.0  # seconds between sweeps
OLD = 540.0  # seconds until a file is deleted
KEPT_MINUTES = round((EVERY + OLD) / 60)
PREFIX = "fedmed-uploads-"
EMPTY_SECONDS = 60.0  # an empty folder may be there for a file that is about to come
BOUND = 2 * 2**30  # bytes; beyond them the oldest go first


@contextlib.contextmanager
def folder_of_its_own(environ: MutableMapping[str, str] = os.environ) -> Iterator[Path]:
    """A folder that only this user may enter, told to Gradio; inside GRADIO_TEMP_DIR if set.

    To be entered before a component is made: each remembers where its files go. What an app that
    was killed left there goes.
    """
    parent = Path(environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir()).resolve()
    parent.mkdir(parents=True, exist_ok=True)
    _clear(parent)
    folder = parent / f"{PREFIX}{secrets.token_hex(8)}"
    with _locked(folder):  # before there is a folder to be taken for an abandoned one
        folder.mkdir(mode=0o700)
        environ["GRADIO_TEMP_DIR"] = str(folder)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _clear(parent: Path) -> None:
    """Remove this user's folders of apps that are no more: the system lets go of their locks."""
    for folder in parent.glob(f"{PREFIX}*/"):
        # Another user's, in use, or gone meanwhile.
        with contextlib.suppress(OSError, Timeout):
            if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
                continue
            with _locked(folder):
                shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock. Raises Timeout where another process does."""
    file = folder.with_name(f".{folder.name}.lock")
    with FileLock(file).acquire(blocking=False):
        try:
            yield
        finally:
            file.unlink(missing_ok=True)


class Uploads:
    """Keeps a folder of uploads small: `sweep` on schedule, `accept` before each upload.

    Args:
        folder: What `folder_of_its_own` yields: whatever lies in it is deleted in time.
        old: Seconds after which a file goes.
        bound: Bytes of all files together.
        empty: Seconds after which an empty folder goes.
    """

    def __init__(
        self, folder: Path, old: float = OLD, bound: int = BOUND, empty: float = EMPTY_SECONDS
    ) -> None:
        self.folder = folder
        self.old, self.bound, self.empty = old, bound, empty
        self.held = 0  # bytes that the last sweep left, and those accepted since
        self.sweeping = threading.Lock()

    async def accept(self, size: int) -> None:
        """Make room for an upload of so many bytes."""
        self.held += size
        if self.held > self.bound:
            await asyncio.to_thread(self.sweep, self.bound // 2)

    def sweep(self, bound: int | None = None) -> None:
        """Delete old files, then the oldest of those beyond the bound, and empty folders."""
        with self.sweeping:
            now = time.time()
            self._delete_files(now - self.old, self.bound if bound is None else bound)
            self._delete_empty_folders(now - self.empty)
            self.held = sum(status.st_size for _, status in files_in(self.folder))

    def _delete_files(self, before: float, bound: int) -> None:
        size = 0
        newest_first = sorted(files_in(self.folder), key=lambda file: -file[1].st_ctime)
        for path, status in newest_first:
            size += status.st_size
            if status.st_ctime < before or size > bound:
                path.unlink(missing_ok=True)

    def _delete_empty_folders(self, before: float) -> None:
        for path in self.folder.iterdir():
            with contextlib.suppress(OSError):  # not empty, or gone meanwhile
                if path.is_dir() and path.stat().st_mtime < before:
                    path.rmdir()


def files_in(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """All files below a folder that others write to: what goes away meanwhile is left out."""
    for parent, _, names in os.walk(folder):  # unlike rglob, it shrugs at a folder that went
        for path in (Path(parent, name) for name in names):
            with contextlib.suppress(FileNotFoundError):
                yield path, path.lstat()

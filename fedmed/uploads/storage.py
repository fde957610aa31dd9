"""Where uploads lie, and for how long: a folder of this process's own, swept on schedule.

Gradio's `delete_cache` forgets files of uploads that broke off or that no event asked for, and
never removes a folder. Here whatever lies in the folder is swept, whoever put it there.
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
from gradio.routes import App
from starlette.types import Scope

EVERY = 60.0  # seconds between sweeps
OLD = 540.0  # seconds until something is swept
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
    with _claimed(folder):  # before there is a folder to be taken for an abandoned one
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
            with _claimed(folder):
                shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Hold a folder's lock. Raises Timeout where another process does."""
    file = folder.with_name(f".{folder.name}.lock")
    with FileLock(file).acquire(blocking=False):
        try:
            yield
        finally:
            file.unlink(missing_ok=True)


class Uploads:
    """The folder's keeper: `swept` is for `Cleanup`, `accept` for `RequestBodies`."""

    def __init__(self, old: float = OLD, bound: int = BOUND, empty: float = EMPTY_SECONDS) -> None:
        self.old, self.bound, self.empty = old, bound, empty
        self.since = 0  # bytes accepted since the last sweep, and those that it left
        self.sweeping = threading.Lock()

    async def swept(self, app: App) -> None:
        """`sweep`, in a thread of its own."""
        await asyncio.to_thread(self.sweep, app)

    async def accept(self, scope: Scope, size: int) -> None:
        """Make room for an upload."""
        self.since += size
        if self.since > self.bound:
            await asyncio.to_thread(self.sweep, scope["app"], self.bound // 2)

    def sweep(self, app: App, bound: int | None = None) -> None:
        """Delete what is old and then, oldest first, what is beyond the bound; empty folders too.

        A folder that is not of `folder_of_its_own` is let be: others may keep files there.
        """
        folder = _folder(app)
        if not folder.name.startswith(PREFIX):
            return
        with self.sweeping:
            now = time.time()
            left = self.bound if bound is None else bound
            for path, status in _newest_first(folder):
                left -= status.st_size
                if now - status.st_ctime > self.old or left < 0:
                    path.unlink(missing_ok=True)
            for path in folder.iterdir():
                with contextlib.suppress(OSError):  # not empty, or gone meanwhile
                    if path.is_dir() and now - path.stat().st_mtime > self.empty:
                        path.rmdir()
            for known in app.get_blocks().temp_file_sets:  # Gradio's own lists of them
                known.difference_update([name for name in list(known) if not os.path.exists(name)])
            self.since = sum(status.st_size for _, status in _newest_first(folder))


def _folder(app: App) -> Path:
    return Path(app.uploaded_file_dir)


def _newest_first(folder: Path) -> list[tuple[Path, os.stat_result]]:
    return sorted(files_in(folder), key=lambda each: each[1].st_ctime, reverse=True)


def files_in(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """All files below a folder that others write to: what goes away meanwhile is left out."""
    for parent, _, names in os.walk(folder):  # unlike rglob, it shrugs at a folder that went
        for path in (Path(parent, name) for name in names):
            with contextlib.suppress(FileNotFoundError):
                yield path, path.lstat()

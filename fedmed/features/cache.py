"""Features on disk, so that no image goes through the same backbone twice.

One folder per (backbone, engine, view, code that makes the input, library versions): a change in
any of them is another folder, so stale features cannot be served. Inside, immutable files named by
the sha256 of their content. A file appears whole or not at all, a damaged one is dropped and
computed again, and two runs at once only ever add files. The least recently used folders go first
when the cache outgrows its limit (`FEDMED_CACHE_GIB`, 4 unless set; `FEDMED_CACHE` moves it), but
none that was used within the last hour, for another run may be at it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np

from fedmed.backbones.backbone import Backbone
from fedmed.code_digest import OF_FEATURES, code_digest
from fedmed.errors import UserError
from fedmed.files import write_atomically
from fedmed.imaging.augmentation import View

_IN_USE_SECONDS = 3600.0
_FOLDER = re.compile(r"[0-9a-f]{32}")


class FeatureCache:
    """Features of one backbone on its engine, by view and image digest.

    Raises:
        UserError: FEDMED_CACHE_GIB is no size, or there is no place for a cache.
    """

    def __init__(self, backbone: Backbone, root: Path | None = None) -> None:
        self.root = root or default_root()
        self.width = backbone.width
        self._limit = _limit()
        self._identity = {
            "backbone": backbone.sha256,
            "engine": backbone.engine.id,
            "code": code_digest(OF_FEATURES),
        }
        self._found: dict[Path, dict[bytes, tuple[Path, int]]] = {}

    def missing(self, view: View, digests: Sequence[str]) -> list[str]:
        """The digests whose features are not there yet, in the order given, each once."""
        found = self._index(view)
        return [d for d in dict.fromkeys(digests) if bytes.fromhex(d) not in found]

    def check_writable(self) -> None:
        """Find out before any work whether `add` can write.

        Raises:
            UserError: it cannot.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root):
                pass
        except OSError as error:
            raise _unwritable(error) from error

    def add(self, view: View, digests: Sequence[str], features: np.ndarray) -> None:
        """Keep features float32 [n, 512] of n images; visible to other runs at once.

        Raises:
            UserError: the cache cannot be written.
        """
        from safetensors.numpy import save

        keys = np.frombuffer(bytes.fromhex("".join(digests)), np.uint8).reshape(-1, 32)
        data = save({"digests": keys, "features": np.ascontiguousarray(features, np.float32)})
        folder = self._folder(view)
        path = folder / f"{hashlib.sha256(data).hexdigest()[:32]}.safetensors"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, data)
        except OSError as error:
            raise _unwritable(error) from error
        rows = {bytes.fromhex(d): (path, row) for row, d in enumerate(digests)}
        self._index(view).update(rows)

    def load(self, view: View, digests: Sequence[str]) -> np.ndarray:
        """Features float32 [n, 512] of images that are all there.

        Raises:
            KeyError: the features of an image were never there.
            UserError: they went away since.
        """
        index = self._index(view)
        with suppress(OSError):  # read-only, or gone
            os.utime(self._folder(view))  # or a run of hours would seem to have ended long ago
        rows = [index[bytes.fromhex(d)] for d in digests]
        out: np.ndarray | None = None
        wanted: dict[Path, list[int]] = {}
        for position, (path, _) in enumerate(rows):
            wanted.setdefault(path, []).append(position)
        for path, positions in wanted.items():
            content = None
            with suppress(OSError):
                content = _read(path)
            if content is None:
                raise UserError(
                    f"{path} was deleted or damaged while it was in use. Run again: what is "
                    "missing is computed again."
                )
            features = content["features"]
            if out is None:
                out = np.empty((len(rows), features.shape[1]), np.float32)
            out[positions] = features[[rows[p][1] for p in positions]]
        return np.empty((0, self.width), np.float32) if out is None else out

    def prune(self) -> None:
        """Drop the least recently used folders until the cache is within its limit.

        Folders that this run used stay, and any used within the last hour. Only files this class
        made are touched, whatever else FEDMED_CACHE holds.
        """
        now, total = time.time(), 0
        used = {folder: _last_use(folder) for folder in _folders(self.root)}
        for folder in sorted(used, key=lambda folder: used[folder], reverse=True):
            left_behind = [
                f for f in folder.glob("*.partial") if now - _last_use(f) > _IN_USE_SECONDS
            ]
            _delete(left_behind)
            files = list(folder.glob("*.safetensors"))
            total += sum(_size(file) for file in files)
            free = folder not in self._found and now - used[folder] > _IN_USE_SECONDS
            if total > self._limit and free:
                _delete(files)
                with suppress(OSError):  # where it holds anything else
                    folder.rmdir()

    def _folder(self, view: View) -> Path:
        identity = json.dumps(self._identity | {"view": asdict(view)}, sort_keys=True)
        return self.root / hashlib.sha256(identity.encode()).hexdigest()[:32]

    def _index(self, view: View) -> dict[bytes, tuple[Path, int]]:
        folder = self._folder(view)
        if folder not in self._found:
            self._found[folder] = index = {}
            with suppress(OSError):  # not there yet, or read-only
                os.utime(folder)
            for path in sorted(folder.glob("*.safetensors")):
                try:
                    content = _read(path)
                except OSError:  # gone meanwhile, or not ours to read
                    continue
                if content is None:
                    _delete([path])
                    continue
                keys = content["digests"]
                index.update({bytes(key): (path, row) for row, key in enumerate(keys)})
        return self._found[folder]


def default_root() -> Path:
    """`FEDMED_CACHE`, or `fedmed/features` in the user's cache folder.

    Raises:
        UserError: there is neither.
    """
    if chosen := os.environ.get("FEDMED_CACHE"):
        return Path(chosen)
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "fedmed" / "features"
    try:
        return Path.home() / ".cache" / "fedmed" / "features"
    except RuntimeError as error:
        raise UserError(
            "This user has no home folder for the feature cache: name one with FEDMED_CACHE=FOLDER."
        ) from error


def _limit() -> float:
    """The cache's limit in bytes."""
    text = os.environ.get("FEDMED_CACHE_GIB") or "4"
    try:
        gib = float(text)
    except ValueError:
        gib = math.nan
    if not gib >= 0:
        raise UserError(f"FEDMED_CACHE_GIB={text}: give a number of GiB, such as 4 or 0.5.")
    return gib * 2**30


def _unwritable(error: OSError) -> UserError:
    return UserError(
        f"The feature cache cannot be written ({error}). FEDMED_CACHE=FOLDER puts it elsewhere; "
        "FEDMED_CACHE_GIB=N bounds its size."
    )


def _folders(root: Path) -> list[Path]:
    """The folders under `root` that are the cache's own, by their names."""
    try:
        return [f for f in root.iterdir() if _FOLDER.fullmatch(f.name) and f.is_dir()]
    except OSError:
        return []


# Another run may delete any file at any time.
def _last_use(path: Path) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0


def _delete(paths: Sequence[Path]) -> None:
    for path in paths:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, np.ndarray] | None:
    """A cache file's tensors, or None where its content is not what its name says."""
    from safetensors.numpy import load

    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest()[:32] != path.stem:
        return None
    return load(data)

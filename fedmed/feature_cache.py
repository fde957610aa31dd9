"""Features on disk, so that no image goes through the same backbone twice.

One folder per (backbone, view, code that makes the input, library versions): a change in any of
them is another folder, so stale features cannot be served. Inside, immutable files named by the
sha256 of their content. A file appears whole or not at all, a damaged one is dropped and computed
again, and two runs at once only ever add files. The least recently used folders go first when the
cache outgrows its limit (`FEDMED_CACHE_GIB`, 4 unless set; `FEDMED_CACHE` moves it).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np

from fedmed.backbone import Backbone
from fedmed.errors import UserError
from fedmed.facts import FEATURES
from fedmed.preprocessing import View

_PACKAGE = Path(__file__).parent
# What decides the numbers, from encoded bytes to features.
_SOURCES = ("imaging.py", "pixels.py", "dicom.py", "preprocessing.py", "backbone.py", "features.py")


class FeatureCache:
    """Features of one backbone on one kind of device, by view and image digest."""

    def __init__(self, backbone: Backbone, device: str = "cpu", root: Path | None = None) -> None:
        self.root = root or default_root()
        self._identity = {"backbone": backbone.sha256, "device": device, "code": _code()}
        self._found: dict[Path, dict[bytes, tuple[Path, int]]] = {}

    def missing(self, view: View, digests: Sequence[str]) -> list[str]:
        """The digests whose features are not there yet, in the order given, each once."""
        found = self._index(view)
        return [d for d in dict.fromkeys(digests) if bytes.fromhex(d) not in found]

    def add(self, view: View, digests: Sequence[str], features: np.ndarray) -> None:
        """Keep features float32 [n, 512] of n images; visible to other runs at once."""
        from safetensors.numpy import save

        keys = np.frombuffer(bytes.fromhex("".join(digests)), np.uint8).reshape(-1, 32)
        data = save({"digests": keys, "features": np.ascontiguousarray(features, np.float32)})
        folder = self._folder(view)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=folder, suffix=".tmp", delete=False) as aside:
                aside.write(data)
            path = folder / f"{hashlib.sha256(data).hexdigest()[:32]}.safetensors"
            os.replace(aside.name, path)
        except OSError as error:
            raise UserError(
                f"The feature cache cannot be written ({error}). FEDMED_CACHE=FOLDER puts it "
                "elsewhere; FEDMED_CACHE_GIB=N bounds its size."
            ) from error
        rows = {bytes.fromhex(d): (path, row) for row, d in enumerate(digests)}
        self._index(view).update(rows)

    def load(self, view: View, digests: Sequence[str]) -> np.ndarray:
        """Features float32 [n, 512] of images that are all there.

        Raises:
            KeyError: the features of an image are missing.
        """
        index = self._index(view)
        rows = [index[bytes.fromhex(d)] for d in digests]
        out = np.empty((len(rows), FEATURES), np.float32)
        wanted: dict[Path, list[int]] = {}
        for position, (path, _) in enumerate(rows):
            wanted.setdefault(path, []).append(position)
        for path, positions in wanted.items():
            content = _read(path)
            if content is None:
                raise KeyError(f"{path} went away while it was in use; run again")
            out[positions] = content["features"][[rows[p][1] for p in positions]]
        return out

    def prune(self) -> None:
        """Drop the least recently used folders until the cache is within its limit.

        Folders this run has used stay.
        """
        limit = float(os.environ.get("FEDMED_CACHE_GIB", "4")) * 2**30
        folders = [f for f in self.root.iterdir() if f.is_dir()] if self.root.is_dir() else []
        folders.sort(key=lambda folder: folder.stat().st_mtime, reverse=True)
        total = 0
        for folder in folders:
            total += sum(file.stat().st_size for file in folder.iterdir())
            if total > limit and folder not in self._found:
                shutil.rmtree(folder, ignore_errors=True)

    def _folder(self, view: View) -> Path:
        identity = json.dumps(self._identity | {"view": asdict(view)}, sort_keys=True)
        return self.root / hashlib.sha256(identity.encode()).hexdigest()[:32]

    def _index(self, view: View) -> dict[bytes, tuple[Path, int]]:
        folder = self._folder(view)
        if folder not in self._found:
            self._found[folder] = index = {}
            if folder.is_dir():
                os.utime(folder)
            for path in sorted(folder.glob("*.safetensors")):
                content = _read(path)
                if content is None:
                    path.unlink(missing_ok=True)
                    continue
                keys = content["digests"]
                index.update({bytes(key): (path, row) for row, key in enumerate(keys)})
        return self._found[folder]


def default_root() -> Path:
    """`FEDMED_CACHE`, or `fedmed/features` in the user's cache folder."""
    if chosen := os.environ.get("FEDMED_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "fedmed" / "features"


def _read(path: Path) -> dict[str, np.ndarray] | None:
    """A cache file's tensors, or None where its content is not what its name says."""
    from safetensors.numpy import load

    try:
        data = path.read_bytes()
    except OSError:
        return None
    if hashlib.sha256(data).hexdigest()[:32] != path.stem:
        return None
    return load(data)


@cache
def _code() -> str:
    """A digest of the code and libraries between an image file and its features."""
    import PIL
    import torch

    digest = hashlib.sha256(f"{PIL.__version__} {torch.__version__} {np.__version__}".encode())
    simulation = sorted((_PACKAGE / "simulation").glob("*.py"))
    for path in [*(_PACKAGE / name for name in _SOURCES), *simulation]:
        if path.exists():
            digest.update(path.read_bytes())
    return digest.hexdigest()

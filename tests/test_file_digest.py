"""Digests of files, and of what is none."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from fedmed.file_digest import sha256_of


@pytest.mark.parametrize("size", [0, 1, 2**20, 2**20 + 1])
def test_every_byte_counts(size: int, tmp_path: Path) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    (tmp_path / "file").write_bytes(data[:size])
    assert sha256_of(tmp_path / "file") == hashlib.sha256(data[:size]).hexdigest()


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sha256_of(tmp_path / "missing")
    with pytest.raises(OSError, match="no regular file"):
        sha256_of(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(OSError, match="no regular file"):
            sha256_of(tmp_path / "pipe")

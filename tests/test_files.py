"""JSON that may come from strangers; digests of files, and of what is none."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from fedmed import files
from fedmed.files import read_json, sha256_of


def written(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "some.json"
    path.write_bytes(content)
    return path


def test_plain_json_is_read(tmp_path: Path) -> None:
    content = '{"a": [1, -2.5, null, true, "é"], "b": 9007199254740992}'.encode()
    read = {"a": [1, -2.5, None, True, "é"], "b": 2**53}
    assert read_json(written(tmp_path, content)) == read


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[NaN]",
        b"[-Infinity]",
        b"[1e999]",
        b"[9007199254740993]",
        b"[" + b"9" * 5000 + b"]",
        b'["\\ud800"]',
        b'{"\\udc00": 1}',
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    ],
)
def test_what_would_break_its_readers_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        read_json(written(tmp_path, content))


def test_a_file_without_end_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_MEBIBYTES", 0)
    with pytest.raises(ValueError, match="larger than"):
        read_json(written(tmp_path, b"{}"))
    for place in (Path("/dev/zero"), tmp_path, tmp_path / "none"):
        with pytest.raises(OSError):
            read_json(place)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(OSError):
        read_json(tmp_path / "pipe.json")


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

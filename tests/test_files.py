"""JSON that may come from strangers; digests of files, and of what is none."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fedmed import files
from fedmed.errors import UserError
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


def test_a_file_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    files.write_atomically(path, b"before")

    def fail(*paths: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="no room"):
        files.write_atomically(path, b"after")
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_tensors_are_read_with_their_metadata_and_outlive_their_file(tmp_path: Path) -> None:
    path = tmp_path / "tensors.safetensors"
    save_file({"a": torch.arange(3.0)}, path, {"about": "them"})
    tensors, metadata = files.read_tensors(path)
    path.write_bytes(b"damaged")
    assert tensors["a"].tolist() == [0, 1, 2] and metadata == {"about": "them"}
    for other in (path, tmp_path / "none"):
        with pytest.raises(UserError, match=rf"{other.name} is not a readable safetensors file"):
            files.read_tensors(other)

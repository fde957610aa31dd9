"""Files on disk: written whole or not at all, and read though they may come from strangers."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedmed.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

MAX_MEBIBYTES = 64
LARGEST = 2**53  # a larger whole number is another one to a browser


def read_json(path: Path) -> Any:
    """The content of a JSON file of UTF-8 text and finite numbers.

    Raises:
        OSError: it is no file, or not to be read.
        ValueError: it is no such JSON, or too large, or nested too deeply.
    """
    if not path.is_file():  # a pipe would be waited for, a device read for ever
        raise FileNotFoundError(f"{path.name} is no file")
    with path.open("rb") as file:
        data = file.read(MAX_MEBIBYTES * 2**20 + 1)
    if len(data) > MAX_MEBIBYTES * 2**20:
        raise ValueError(f"it is larger than {MAX_MEBIBYTES} MiB")
    return parse(data)


def parse(data: bytes) -> Any:
    """The content of JSON, as `read_json` reads it.

    Raises:
        ValueError: it is no such JSON, or nested too deeply.
    """
    try:
        value = json.loads(data.decode("utf-8"), parse_int=_whole)
        # Halves of characters and numbers that are not finite can be read but not written again.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return value


def is_text(name: str) -> bool:
    """Whether a file's name, which may be of any bytes, can be written down in UTF-8."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _whole(text: str) -> int:
    value = int(text)
    if abs(value) > LARGEST:
        raise ValueError("a whole number in it is too large")
    return value


def sha256_of(path: Path) -> str:
    """The sha256 of a file's bytes, as 64 hex digits.

    Raises:
        OSError: it cannot be read, or is a pipe, which would be waited for, or a device.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is no regular file")
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_atomically(path: Path, data: bytes | memoryview) -> None:
    """Write a file that appears whole, in place of the one before, or not at all.

    It is on the disk before it takes the name, so that not even a power cut leaves half of it.

    Raises:
        OSError: it cannot be written; what was there before is untouched.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a safetensors file by name, and its metadata.

    The tensors are copies: one on a mapped file would keep Windows from replacing that file.

    Raises:
        UserError: it can't be read, or is no safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
            return tensors, dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is not a readable safetensors file: {error}") from error

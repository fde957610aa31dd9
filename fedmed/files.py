"""Files that may come from strangers: their JSON, read whole or refused, and their digests."""

from __future__ import annotations

import errno
import hashlib
import json
from pathlib import Path
from typing import Any

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

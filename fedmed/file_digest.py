"""The digest of a file that may be large, or no file at all."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path


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

"""Many X-rays decoded at once, on all cores, into one array on disk."""

from __future__ import annotations

import errno
import math
import mmap
import os
import tempfile
from collections.abc import Sequence

import numpy as np

from fedmed.data.cohort import Xray
from fedmed.data.trouble import by_kind
from fedmed.errors import UserError
from fedmed.imaging.preprocessing import to_pixels
from fedmed.parallel import on_all_cores
from fedmed.progress import Progress
from fedmed.task import IMAGE_SIZE


class UnreadableImages(UserError):
    """Some images cannot be decoded; the message has a line for each reason."""


def decode_all(xrays: Sequence[Xray]) -> np.ndarray:
    """Decode and resize to uint8 [n, 224, 224], backed by a temporary file.

    Raises:
        UnreadableImages: some images cannot be decoded.
        OSError: there is no room for the file.
    """
    shape = (max(len(xrays), 1), IMAGE_SIZE, IMAGE_SIZE)
    with tempfile.TemporaryFile() as file:
        _reserve(file.fileno(), math.prod(shape))
        pixels = np.memmap(file, np.uint8, "w+", shape=shape)
    problems: list[tuple[str, str]] = []

    def decode(index: int) -> None:
        try:
            pixels[index] = to_pixels(xrays[index].load())
        except (UserError, OSError) as error:
            problems.append((xrays[index].name, str(error)))

    work = on_all_cores(decode, range(len(xrays)))
    for _ in Progress("Reading images", len(xrays)).over(work):
        pass
    if problems:
        raise UnreadableImages(
            f"{len(problems)} of {len(xrays)} images cannot be read:\n  "
            + "\n  ".join(by_kind(problems))
            + "\nRepair or remove these files and run again; nothing was written."
        )
    return pixels[: len(xrays)]


def put_aside(pixels: np.ndarray) -> None:
    """Give back the memory that holds what `decode_all` returned, where that can be told.

    It is read from its file again when it is looked at.
    """
    mapped, advice = getattr(pixels, "_mmap", None), getattr(mmap, "MADV_DONTNEED", None)
    if mapped is not None and advice is not None:
        mapped.madvise(advice)


def _reserve(file: int, size: int) -> None:
    """Take the room now: a disk found full as mapped memory is written kills the process."""
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(file, 0, size)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise OSError(error.errno, error.strerror, tempfile.gettempdir()) from error

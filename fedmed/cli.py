"""Exit statuses that all commands share."""

from __future__ import annotations

import errno
import os
import re
import sys
import traceback
from collections.abc import Callable

from fedmed.errors import UserError

# What a disk says that takes no more.
STORAGE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}


def run(main: Callable[[], None], *, resume_hint: str | None = None) -> int:
    """Run a command and return its exit status.

    0 done; 2 what the user can mend (one message, no traceback); 130 interrupted (and
    `resume_hint`); 1 anything else: a full or read-only disk in one message (and `resume_hint`),
    the rest with a traceback. An error may bring its own `exit_status`.
    """
    try:
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("\ninterrupted." + (f" {resume_hint}" if resume_hint else ""), file=sys.stderr)
        return 130
    except Exception as error:
        if fault := _storage_fault(error):
            hint = f" {resume_hint}" if resume_hint else ""
            print(f"error: {fault}. Make room or give access.{hint}", file=sys.stderr)
        else:
            traceback.print_exc()
        return 1
    return 0


def _storage_fault(error: Exception) -> str | None:
    """What a disk refused, if that is what an error is about."""
    # safetensors writes in Rust, whose errors bring the number of the system's in their text.
    found = re.search(r"\(os error (\d+)\)", str(error))
    number = error.errno if isinstance(error, OSError) else int(found[1]) if found else None
    if number not in STORAGE:
        return None
    name = getattr(error, "filename", None)
    return f"{name} cannot be written: {os.strerror(number)}" if name else os.strerror(number)

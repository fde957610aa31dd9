"""Exit statuses that all commands share."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable

from fedmed.errors import UserError


def run(main: Callable[[], None], *, resume_hint: str | None = None) -> int:
    """Run a command and return its exit status.

    0 done; 2 what the user can mend (one message, no traceback); 130 interrupted (and
    `resume_hint`); 1 anything else. An error may bring its own `exit_status`.
    """
    try:
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return getattr(error, "exit_status", 2)
    except KeyboardInterrupt:
        print("\ninterrupted." + (f" {resume_hint}" if resume_hint else ""), file=sys.stderr)
        return 130
    except Exception:
        traceback.print_exc()
        return 1
    return 0

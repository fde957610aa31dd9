"""The one exception for what a user can mend."""

from __future__ import annotations


class UserError(Exception):
    """Bad input or usage. The message names the file or option and the way out.

    Commands print it without a traceback and exit with its status.
    """

    exit_status = 2

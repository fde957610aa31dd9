"""What a user can mend is one exception; a picture that can't be read is one of its kind."""

from __future__ import annotations


class UserError(Exception):
    """Bad input or usage. The message names the file or option and the way out.

    Commands print it without a traceback and exit with its status.
    """

    exit_status = 2


FORMATS = "JPEG, PNG, DICOM, TIFF, BMP or WebP"
ACCEPTED = f"Accepted: {FORMATS}."


class ImageError(UserError):
    """What was given can't be read as a radiograph. The message is safe to render as HTML."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"{problem} {ACCEPTED}")
        self.problem = problem

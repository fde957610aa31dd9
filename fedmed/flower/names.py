"""What hospitals may be called, and how what strangers say is written down."""

from __future__ import annotations

import re

NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}", re.ASCII)


def printable_text(value: object) -> str:
    """What a stranger says, in one short line."""
    return ascii(str(value)[:300])[1:-1].replace("\\'", "'")

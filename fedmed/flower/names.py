"""What hospitals may be called."""

from __future__ import annotations

import re

NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}", re.ASCII)

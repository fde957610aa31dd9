"""What the app shows first, opened as it opens it."""

from __future__ import annotations

from collections.abc import Mapping

from fedmed.inference.loading import Opened
from fedmed.inference.shelf import Shelf


def first_opened(environ: Mapping[str, str]) -> Opened:
    return Shelf(lambda opened: opened.label, environ).opened()

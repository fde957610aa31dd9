"""Runs of the lab for the page and the API: one for each session, cancelled by its next."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from fedmed.lab.pool import Event, Pool
from fedmed.lab.settings import LabSettings

SESSIONS = 256  # whose last run is remembered

POOL = Pool()


class Latest:
    """Which run of a session is its latest: an older one ends once a newer has begun."""

    def __init__(self) -> None:
        self._numbers: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()
        self._count = 0

    def begin(self, session: str) -> int:
        """Return the number of a run that begins, in place of the session's last."""
        with self._lock:
            self._count += 1
            self._numbers[session] = self._count
            self._numbers.move_to_end(session)
            if len(self._numbers) > SESSIONS:
                self._numbers.popitem(last=False)
            return self._count

    def is_latest(self, session: str, number: int) -> bool:
        """Whether no newer run of the session has begun."""
        return self._numbers.get(session, number) == number


LATEST = Latest()


def run(
    folder: Path, settings: Mapping[str, Any], *, client: str, session: str | None = None
) -> Generator[Event | None]:
    """Yield the events of a run, None now and then while there is none.

    Raises:
        UserError: the settings will not do, or the lab is busy.
    """
    checked = LabSettings.of(settings)
    number = LATEST.begin(session) if session else 0
    events = POOL.run(folder, checked.as_json(), client)
    try:
        for event in events:
            if session and not LATEST.is_latest(session, number):
                return
            yield event
    finally:
        events.close()

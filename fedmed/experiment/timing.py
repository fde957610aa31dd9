"""Wall-clock seconds of each stage, for the report's `timing`."""

from __future__ import annotations

import time


class Stopwatch:
    def __init__(self) -> None:
        self._start = self._last = time.monotonic()
        self.laps: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """Say that `stage` ends here; it began where the one before it ended."""
        now = time.monotonic()
        self.laps[stage] = round(now - self._last, 2)
        self._last = now

    def report(self) -> dict[str, float]:
        """Seconds per stage, and in all."""
        return self.laps | {"total": round(time.monotonic() - self._start, 2)}

"""Wall-clock seconds of each stage, for the report's `timing`."""

from __future__ import annotations

import time


class Stopwatch:
    def __init__(self) -> None:
        self._start = self._last = time.monotonic()
        self.laps: dict[str, float] = {}
        self.kept = 0  # trainings that a run before did, whose time is not in here

    def lap(self, stage: str) -> None:
        """Say that `stage` ends here; it began where the one before it ended."""
        now = time.monotonic()
        self.laps[stage] = round(now - self._last, 2)
        self._last = now

    def report(self) -> dict[str, float]:
        """Seconds per stage, and in all; and how many trainings were done by a run before."""
        kept = {"trainings_kept_from_before": self.kept} if self.kept else {}
        return self.laps | {"total": round(time.monotonic() - self._start, 2)} | kept

"""A process that federates for visitors: a JSON line in for each run, one out for each event.

Lines in are {"id", "folder", "settings"} and {"cancel": id}; lines out {"id"} with an "event", an
"error" (a sentence) or "done". Between two rounds it looks whether its run was cancelled. It gives
way to whoever answers visitors about their X-rays.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

READY = {"ready": True}
# Beside 16 labs on two cores a reader's p95 is 1.6 times that alone; at 5 it was three times, and
# at 19 the labs took half as long again.
NICENESS = 10
DONE = object()


def main() -> None:
    """Serve runs until the other end closes."""
    with suppress(AttributeError, OSError):  # Windows has none
        os.nice(NICENESS)
    # Imported once the process gives way: torch takes seconds of a core.
    import torch

    from fedmed.errors import UserError
    from fedmed.lab.cohort import LabCohort
    from fedmed.lab.engine import Lab
    from fedmed.lab.settings import LabSettings
    from fedmed.snapshot import lab_features

    torch.set_num_threads(1)
    labs: dict[str, Lab] = {}  # the last snapshot's

    def lab(folder: str) -> Lab:
        if folder not in labs:
            labs.clear()
            labs[folder] = Lab(LabCohort(lab_features.read(Path(folder))))
        return labs[folder]

    jobs: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
    ahead: Iterator[None] = iter(())

    def wait() -> dict[str, Any] | None:
        """The next job; until it comes, what the default run needs is computed."""
        while jobs.empty():
            if next(ahead, DONE) is DONE:
                break
        return jobs.get()

    cancelled: set[int] = set()

    def listen() -> None:
        for line in sys.stdin:
            message = json.loads(line)
            if "cancel" in message:
                cancelled.add(message["cancel"])
            else:
                jobs.put(message)
        jobs.put(None)

    Thread(target=listen, daemon=True).start()
    _say(READY)
    while (job := wait()) is not None:
        number = job["id"]
        try:
            if job["settings"] is None:
                ahead = lab(job["folder"]).ahead()
            else:
                for event in lab(job["folder"]).run(LabSettings.of(job["settings"])):
                    if number in cancelled:
                        break
                    _say({"id": number, "event": event})
        except UserError as error:
            _say({"id": number, "error": str(error)})
        cancelled.discard(number)
        _say({"id": number, "done": True})


def _say(message: dict[str, Any]) -> None:
    print(json.dumps(message, allow_nan=False), flush=True)


if __name__ == "__main__":
    try:
        main()
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(0)  # who asked is gone: nobody is left to flush to

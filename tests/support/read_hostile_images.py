"""Read the table of hostile images as the app does, in bounded memory; print what came of each."""

from __future__ import annotations

import json
import resource
import signal
from pathlib import Path
from typing import Any

import numpy as np

from fedmed.uploads import sandbox
from tests.support.hostile_images import TOO_COSTLY, Case, cases
from tests.support.image_bytes import PICTURE, saved


def read_all(seconds: float, if_costly: float) -> dict[str, Any]:
    """What came of each: how far off its pixels are, or what is said; and whether the next
    visitor's image still came out right. Workers may take `seconds` for each, or `if_costly`."""
    good = saved(PICTURE, "PNG")
    found = {}
    for case in sorted(cases(), key=is_costly):
        limit = if_costly if is_costly(case) else seconds
        if limit != sandbox.MAX_SECONDS:
            sandbox.stop()  # workers are told as they start
            sandbox.MAX_SECONDS = limit
        try:
            image = np.asarray(sandbox.read(case.build()).image)
            same = image.shape == case.shows.shape
            outcome: dict[str, Any] = {"off": 255}
            if same:
                outcome["off"] = max(
                    int(np.abs(a.astype(int) - b).max())
                    for a, b in zip(image, case.shows, strict=True)
                )
        except sandbox.ImageError as error:
            outcome = {"says": str(error)}
        after = np.asarray(sandbox.read(good).image)
        found[case.name] = outcome | {"next": bool(np.array_equal(after, PICTURE))}
    return found


def is_costly(case: Case) -> bool:
    """Whether it is likely to be stopped by its limit, which is all the time that it takes."""
    return case.costly or case.says == TOO_COSTLY


def own_peak() -> int:
    """The most bytes this process held; its rusage would count its parent's from before exec."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:  # not Linux
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    signal.alarm(900)
    resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30,) * 2)
    found = read_all(seconds=2.0, if_costly=0.8)
    sandbox.stop()
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    peaks = {"workers_peak": workers, "reader_peak": own_peak()}
    print(json.dumps({"cases": found} | peaks, indent=1))

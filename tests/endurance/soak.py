"""Half an hour of good and bad callers at a running app: `python -m tests.endurance.soak`.

A real `python app.py`, called by real gradio_clients and by hand from several processes: films,
damaged files, files of the server, addresses, oversize and broken-off uploads, abandoned events,
junk. From outside, its memory, open files, threads and uploads are read all the while (Linux).

It holds where every outcome was one that its action allows, and the app is flat: the medians of the
last third are at most what FLAT allows over those of the second, no upload is older than the page
promises, and when the callers are gone so are the files that were open for them.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import measuring, serving
from benchmarks.serving import Server
from fedmed import cli
from fedmed.errors import UserError
from fedmed.uploads.storage import EVERY, KEPT_MINUTES, files_in
from tests.endurance.soak_callers import ACTIONS, Caller, call_for, film, get_ready

RESULTS = Path(__file__).parent / "results"
PROCESSES = 4
SETTLE_SECONDS = 45  # until connections that nobody reads are noticed
# What may be added from the second third to the last: a share, and a rest for what comes and goes.
FLAT = {"memory_mib": (0.02, 16), "open_files": (0.0, 16), "threads": (0.0, 8)}
AFTERWARDS = 8  # open files more than before the callers came
THREADS = 64  # at any time: Gradio's pool ends at 40, and asyncio's and torch's follow the cores
# Tracebacks that Gradio writes to the log when it answers bad input with an error.
LOGGED = re.compile(
    r"(gradio\.exceptions\.)?(InvalidPathError|Error)\b|pydantic_core\.\S*ValidationError"
    r"|ValueError: (An event handler|embedded null byte|lstat: embedded)"
    r"|AttributeError: '(int|str|list)' object|TypeError: .*(argument after|NoneType|str)"
    r"|(starlette\.requests\.)?ClientDisconnect|asyncio\.exceptions\.CancelledError"
)


class Sample(NamedTuple):
    """What the app holds at a moment; `oldest` upload in seconds."""

    at: float
    memory_mib: float
    open_files: int
    threads: int
    uploads: int
    uploads_mib: float
    oldest: float


class App(NamedTuple):
    server: Server
    uploads: Path
    log: Path

    def sample(self, at: float) -> Sample:
        process = Path(f"/proc/{self.server.pid}")
        found = [status for _, status in files_in(self.uploads)]
        return Sample(
            at=round(at, 1),
            memory_mib=self.server.resident_mib(),
            open_files=len(os.listdir(process / "fd")),
            threads=len(os.listdir(process / "task")),
            uploads=len(found),
            uploads_mib=sum(status.st_size for status in found) / 2**20,
            oldest=max((time.time() - status.st_ctime for status in found), default=0.0),
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.endurance.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="default: %(default)s")
    parser.add_argument("--callers", type=int, default=16, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    options = parser.parse_args()
    result = soak(options.minutes, options.callers, options.seed)
    print(measuring.table(outcomes(result)), end="\n\n")
    print(measuring.table(result["thirds"]), end="\n\n")
    print(f"Errors in the log, all explained by bad input: {result['logged']}")
    for sentence in result["unexplained"] + result["not_flat"]:
        print(sentence)
    print(f"Written: {measuring.write('soak', result, RESULTS)}")
    if result["unexplained"] or result["not_flat"]:
        raise UserError("The app did not hold.")


def soak(minutes: float, callers: int, seed: int) -> dict[str, Any]:
    """Let callers at an app for so many minutes; what they got, and what it held."""
    groups = [list(range(first, callers, PROCESSES)) for first in range(min(PROCESSES, callers))]
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Barrier(len(groups) + 1)
    with (
        running() as app,
        ProcessPoolExecutor(len(groups), spawn, get_ready, (ready,)) as pool,
    ):
        warm = Caller(app.server.url, 255, seed)
        for _ in range(8):
            film(warm)
        warm.close()
        before = app.sample(0)
        calls = [pool.submit(call_for, app.server.url, one, seed, 60 * minutes) for one in groups]
        ready.wait(serving.GIVE_UP_SECONDS)
        started = time.monotonic()
        samples = []
        while not all(call.done() for call in calls):
            time.sleep(60 * minutes / 200)
            samples.append(app.sample(time.monotonic() - started))
        answers = [call.result() for call in calls]
        pool.shutdown()  # the callers' heartbeats end with their processes
        time.sleep(SETTLE_SECONDS)
        after = app.sample(time.monotonic() - started)
        logged, odd = tracebacks(app.log.read_text(encoding="utf-8", errors="replace"))
    counts = sum((found for found, _ in answers), Counter())
    return {
        "minutes": minutes,
        "callers": callers,
        "seed": seed,
        "calls": counts.total(),
        "outcomes": {
            name: {
                said: counts[key] for key in sorted(counts) for said in key[1:] if key[0] == name
            }
            for name in ACTIONS
        },
        "unexplained": [said for _, found in answers for said in found] + odd,
        "logged": logged,
        "not_flat": swollen(before, samples, after),
        "thirds": [{"third": "before", **before._asdict()}]
        + [{"third": str(place + 1), **_median(part)} for place, part in enumerate(thirds(samples))]
        + [{"third": "after", **after._asdict()}],
        "samples": [sample._asdict() for sample in samples],
    }


def outcomes(result: dict[str, Any]) -> list[dict[str, object]]:
    """A row for each outcome of each action."""
    return [
        {"action": name, "outcome": said, "calls": number}
        for name, found in result["outcomes"].items()
        for said, number in found.items()
    ]


def swollen(before: Sample, samples: list[Sample], after: Sample) -> list[str]:
    """A sentence for everything that grew more than it may."""
    found = []
    _, second, last = thirds(samples)
    for name, (share, rest) in FLAT.items():
        then, now = _median(second)[name], _median(last)[name]
        if now > then * (1 + share) + rest:
            found.append(f"{name} went from {then:.0f} to {now:.0f}.")
    if after.open_files > before.open_files + AFTERWARDS:
        then, now = before.open_files, after.open_files
        found.append(f"{then} files were open before the callers came, {now} after they left.")
    if (most := max(sample.threads for sample in samples)) > THREADS:
        found.append(f"There were {most} threads.")
    oldest = max(sample.oldest for sample in samples)
    # A folder is empty before it goes, and a sweep of a busy app may be late.
    if oldest > 60 * KEPT_MINUTES + 3 * EVERY:
        found.append(f"An upload was {oldest / 60:.0f} minutes old.")
    return found


def thirds(samples: list[Sample]) -> tuple[list[Sample], list[Sample], list[Sample]]:
    size = max(len(samples) // 3, 1)
    return samples[:size], samples[size : 2 * size] or samples, samples[2 * size :] or samples


def tracebacks(log: str) -> tuple[dict[str, int], list[str]]:
    """Last lines of tracebacks in a log: counted, and those that bad input does not explain."""
    last = re.findall(r"^Traceback .*?^(\S.*?)$", log.replace("  + Exception", "  +"), re.M | re.S)
    kinds = Counter(line.split(":")[0][:80] for line in last)
    return dict(kinds), [f"In the log: {line[:300]}" for line in last if not LOGGED.match(line)]


def _median(samples: list[Sample]) -> dict[str, float]:
    return {
        name: round(statistics.median(getattr(sample, name) for sample in samples), 1)
        for name in Sample._fields
    }


@contextmanager
def running() -> Iterator[App]:
    """`python app.py`, whose uploads and log can be seen."""
    with tempfile.TemporaryDirectory() as scratch:
        uploads, log = Path(scratch) / "uploads", Path(scratch) / "log"
        place = {"GRADIO_TEMP_DIR": str(uploads)}
        with serving.running(["app.py"], b"fm-model", place, log) as server:
            yield App(server, next(uploads.glob("fedmed-uploads-*")), log)


if __name__ == "__main__":
    raise SystemExit(cli.run(main))

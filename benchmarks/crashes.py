"""Kill training at every write and at random moments, fill its disk, run it twice at once.

    python -m benchmarks.crashes

Each case is a small whole run in a process of its own, over a snapshot that is there already. It
is stopped, looked at, and gone on with by `--resume`: checkpoints and report must then be those of
a run that nobody disturbed, but for times and dates, and nothing else may be left.

A write is what Python's audit events tell of: a file opened for writing, a folder made, a rename,
every eighth removal. Killed at one, the file that was to be opened is left with a few bytes of
rubbish in it, as by a write that was torn. Needs os.fork.
"""

from __future__ import annotations

import argparse
import errno
import functools
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import huggingface_hub  # noqa: F401  (what every run imports is imported once, before the forks)
import safetensors.torch
import torch
import torchvision.models  # noqa: F401

import train
from fedmed import scoring
from fedmed.backbone import write_state
from fedmed.evaluation import evaluate
from fedmed.settings import Settings
from fedmed.snapshot import SnapshotError, verify
from tests.films import write_films
from tests.snapshots import random_backbone, tiny_snapshot

RESULTS = Path(__file__).parent / "results" / "crashes.json"
OPTIONS = {"rounds": 2, "local_epochs": 1, "epochs": 2, "views": 2, "examples": 2, "hospitals": 3}
LIMITS = (100, 2000, 5000, 20_000, 1_000_000, 5_000_000)  # bytes: each stops another file
MAKES = ("os.mkdir", "os.rename")
REMOVES = ("os.remove", "os.rmdir")
EACH = 8  # of the removals: a folder's are one like another
RUBBISH = b"\x93torn"

Trouble = Callable[[], None]  # what is set up in the process of a run before it starts


@dataclass
class Tally:
    """How many cases of each kind were tried, and what went wrong in which."""

    tried: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def case(self, kind: str, name: str, problems: list[str]) -> None:
        self.tried[kind] += 1
        self.failures += [f"{kind} {name}: {problem}" for problem in problems]
        print(f"{kind:<32}{name:<28}{'; '.join(problems) or 'ok'}", flush=True)


@dataclass(frozen=True)
class Bench:
    """Films, a backbone and a finished run to compare with, all in `place`."""

    place: Path
    whole: dict[str, Any]  # what an undisturbed run leaves
    seconds: float  # that it takes with an empty cache
    writes: dict[str, int]  # that it makes, with a "cold" and a "warm" cache

    def case(self, *, cold: bool = False) -> Settings:
        """The settings of a run in a folder of its own, an older snapshot in its output."""
        folder = Path(tempfile.mkdtemp(prefix="case-", dir=self.place))
        shutil.copytree(self.place / "old", folder / "snapshot")
        if not cold:
            shutil.copytree(self.place / "cache", folder / "cache")
        return _settings(self.place, folder / "snapshot")

    def judge(self, settings: Settings) -> list[str]:
        """Go on with the run of a case; what is wrong with where that ends. Removes the case."""
        folder = settings.output.parent
        status, said = finish(start(replace(settings, resume=True)))
        problems = [f"--resume ended with {status}: {said[-300:]}"] if status else []
        if not problems and outcome(settings.output) != self.whole:
            problems.append("another result")
        left = {path.name for path in folder.iterdir()} - {"snapshot", "cache"}
        problems += [f"left behind: {', '.join(sorted(left))}"] if left and not problems else []
        shutil.rmtree(folder)
        return problems


def prepare(place: Path) -> Bench:
    """Make what all cases need, in processes that end: a fork of busy threads would hang."""

    def make() -> int:
        write_films(place / "clinic")
        write_state(random_backbone(), place / "backbone")
        tiny_snapshot(place / "old", seed=5)
        return 0

    _expect(0, finish(_fork(make, place / "prepared.txt")))
    settings = _settings(place, place / "whole" / "snapshot")
    settings.output.parent.mkdir()
    counts: dict[str, int] = {}
    seconds = 0.0
    for warmth in ("cold", "warm"):
        started = time.monotonic()
        counted = place / f"{warmth}.txt"
        _expect(0, finish(start(settings, functools.partial(_count_writes, counted))))
        seconds = seconds or time.monotonic() - started
        names = counted.read_text().splitlines()
        cache = [place for place, name in enumerate(names, start=1) if "/cache/" in name]
        counts[warmth] = max(cache) if warmth == "cold" else len(names)
    shutil.move(place / "whole" / "cache", place / "cache")
    return Bench(place, outcome(settings.output), seconds, counts)


def outcome(folder: Path) -> dict[str, Any]:
    """What a run's snapshot holds, without times and dates: digests of files, and two JSONs."""
    report = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    config = verify(folder)
    files = {name: sha for name, sha in config["files"].items() if name != "evaluation.json"}
    apart = ("files", "created", "config_sha256")
    return {
        "files": files,
        "report": {name: part for name, part in report.items() if name != "timing"},
        "config": {name: part for name, part in config.items() if name not in apart},
    }


# --- troubles


def _writes(act: Callable[[str, str], None]) -> None:
    """Call `act` with the audit event and the path of every write of this process from now on."""
    removed = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal removed
        if event == "open" and isinstance(arguments[0], str):
            writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
            if arguments[2] & writing and not Path(arguments[0]).is_dir():
                act(event, arguments[0])
        elif event in MAKES:
            act(event, os.fspath(arguments[1 if event == "os.rename" else 0]))
        elif event in REMOVES:
            removed += 1
            if removed % EACH == 1:
                act(event, os.fspath(arguments[0]))

    # safetensors writes in Rust, of which Python hears nothing.
    whole = safetensors.torch.save_file

    def save_file(tensors: Any, filename: Any, *arguments: Any, **named: Any) -> None:
        act("save_file", os.fspath(filename))
        whole(tensors, filename, *arguments, **named)

    safetensors.torch.save_file = save_file
    sys.addaudithook(hook)


def _count_writes(counted: Path) -> None:
    file = os.open(counted, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    _writes(lambda event, path: (os.write(file, f"{event} {path}\n".encode()), None)[1])


def killed_at(write: int) -> Trouble:
    """The process is killed as it makes this write, which leaves rubbish in the file."""
    made = 0

    def act(event: str, path: str) -> None:
        nonlocal made
        made += 1
        if made == write:
            if event in ("open", "save_file"):
                file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                os.write(file, RUBBISH)
            os.kill(os.getpid(), signal.SIGKILL)

    return functools.partial(_writes, act)


def refused_from(write: int, code: int, place: Path) -> Trouble:
    """From this write on, nothing can be written below `place`; removing still can."""
    made = 0

    def act(event: str, path: str) -> None:
        nonlocal made
        made += 1
        if made >= write and event not in REMOVES and Path(path).is_relative_to(place):
            if event == "save_file":
                raise safetensors.SafetensorError(
                    f"Error while serializing: I/O error: {os.strerror(code)} (os error {code})"
                )
            raise OSError(code, os.strerror(code), path)

    return functools.partial(_writes, act)


def limited_to(size: int) -> Trouble:
    """No file may grow beyond `size` bytes: the kernel's own refusal."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


# --- runs


def start(settings: Settings, trouble: Trouble | None = None) -> tuple[int, Path]:
    """Start a run in a process of its own; its output goes to a file beside the snapshot's."""
    folder = settings.output.parent

    def run() -> int:
        os.environ["FEDMED_CACHE"] = str(folder / "cache")
        scoring.evaluate = functools.partial(evaluate, resamples=5)
        torch.set_num_threads(1)
        if trouble:
            trouble()
        return train.run(settings)

    return _fork(run, folder.with_name(f"{folder.name}.{time.monotonic_ns()}.txt"))


def finish(process: tuple[int, Path]) -> tuple[int, str]:
    """Wait for a run; its exit status, negative for a signal, and what it said."""
    pid, output = process
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    said = output.read_text(encoding="utf-8")
    output.unlink()
    return status, said


def _fork(work: Callable[[], int], output: Path) -> tuple[int, Path]:
    sys.stdout.flush()
    if pid := os.fork():
        return pid, output
    status = 70
    try:
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        status = work()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _settings(place: Path, output: Path) -> Settings:
    return Settings(
        data=str(place / "clinic"),
        backbone=str(place / "backbone"),
        output=output,
        **OPTIONS,  # type: ignore[arg-type]
    )


def _expect(status: int, found: tuple[int, str]) -> None:
    if found[0] != status:
        raise RuntimeError(f"ended with {found[0]}: {found[1]}")


# --- cases


def kills(bench: Bench, tally: Tally, every: int, moments: int) -> None:
    for warmth, count in bench.writes.items():
        for write in range(1, count + 1, every):
            settings = bench.case(cold=warmth == "cold")
            status, said = finish(start(settings, killed_at(write)))
            problems = [] if status == -signal.SIGKILL else [f"ended with {status}: {said[-300:]}"]
            problems += _lost(bench, settings)
            tally.case(
                f"killed at a write, {warmth} cache", str(write), problems + bench.judge(settings)
            )
    chance = random.Random(1)
    for _ in range(moments):
        delay = chance.uniform(0, bench.seconds)
        settings = bench.case(cold=True)
        process = start(settings)
        time.sleep(delay)
        os.kill(process[0], signal.SIGKILL)
        finish(process)
        problems = _lost(bench, settings)
        tally.case("killed at a moment", f"{delay:.2f} s", problems + bench.judge(settings))


def full_disks(bench: Bench, tally: Tally, every: int) -> None:
    def refusals() -> Iterator[tuple[str, str, bool, Callable[[Path], Trouble]]]:
        for warmth, count in bench.writes.items():
            for write in range(1, count + 1, every):
                yield (
                    f"disk full, {warmth} cache",
                    f"from write {write}",
                    warmth == "cold",
                    functools.partial(refused_from, write, errno.ENOSPC),
                )
        for size in LIMITS:
            yield "file size limited", f"{size:,} bytes", True, lambda _, n=size: limited_to(n)
        for cold in (True, False):
            yield (
                "read-only",
                "cold" if cold else "warm",
                cold,
                functools.partial(refused_from, 1, errno.EROFS),
            )

    for kind, name, cold, trouble in refusals():
        settings = bench.case(cold=cold)
        status, said = finish(start(settings, trouble(settings.output.parent)))
        problems = _lost(bench, settings)
        # The last writes of a run are not needed for its result.
        done = status == 0 and _is_whole(bench, settings)
        if not done and (status not in (1, 2) or "Traceback" in said or "error: " not in said):
            problems.append(f"ended with {status}: {said[-600:]}")
        tally.case(kind, name, problems + bench.judge(settings))


def two_at_once(bench: Bench, tally: Tally) -> None:
    first, second = bench.case(cold=True), bench.case(cold=True)
    (second.output.parent / "cache").symlink_to(first.output.parent / "cache")
    runs = [start(settings) for settings in (first, second)]
    ended = [finish(run) for run in runs]
    problems = [f"ended with {status}: {said[-300:]}" for status, said in ended if status]
    for settings in (second, first):
        problems += bench.judge(settings)
    tally.case("two runs at once", "one cache", problems)

    settings = bench.case(cold=True)
    runs = [start(settings) for _ in range(2)]
    ended = [finish(run) for run in runs]
    if sorted(status for status, _ in ended) != [0, 2]:
        problems = [f"ended with {status}: {said[-300:]}" for status, said in ended]
    problems += _lost(bench, settings)
    tally.case("two runs at once", "one output", problems + bench.judge(settings))


def _is_whole(bench: Bench, settings: Settings) -> bool:
    try:
        return outcome(settings.output) == bench.whole
    except (SnapshotError, OSError):
        return False


def _lost(bench: Bench, settings: Settings) -> list[str]:
    """Whether neither the old snapshot nor the new one is anywhere whole."""
    if _is_whole(bench, settings):
        return []
    old = hashlib.sha256((bench.place / "old" / "config.json").read_bytes()).digest()
    for config in settings.output.parent.rglob("config.json"):
        if hashlib.sha256(config.read_bytes()).digest() == old:
            verify(config.parent)
            return []
    return ["the old snapshot is lost"]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--every", type=int, default=1, help="try each n-th write [%(default)s]")
    parser.add_argument("--moments", type=int, default=20, help="random moments [%(default)s]")
    parser.add_argument("--json", type=Path, default=RESULTS, help="result [%(default)s]")
    options = parser.parse_args()
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="fedmed-crashes-") as place:
        bench = prepare(Path(place))
        kills(bench, tally, options.every, options.moments)
        full_disks(bench, tally, 4 * options.every)
        two_at_once(bench, tally)
    result = {
        "every": options.every,
        "writes": bench.writes,
        "tried": dict(tally.tried),
        "failed": tally.failures,
    }
    options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"\n{sum(tally.tried.values())} cases, {len(tally.failures)} failed")
    return 1 if tally.failures else 0


if __name__ == "__main__":
    raise SystemExit(main())

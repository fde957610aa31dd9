"""What a stopped run leaves, killed at every write: `python -m tests.endurance.crashes`.

Training is killed at every write and at random moments, its disk filled, and it is run twice at
once. Each case is a small whole run in a process of its own, over a snapshot that is there
already. It is stopped, looked at, and gone on with by `--resume`: checkpoints and report must then
be those of a run that nobody disturbed, but for times and dates, and nothing else may be left.

Killed at a write, the file that was to be written is left with a few bytes of rubbish in it, as
by a write that was torn.
"""

from __future__ import annotations

import argparse
import errno
import functools
import hashlib
import json
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

# What every run imports is imported once, before the forks.
import huggingface_hub  # noqa: F401
import torch

import fedmed.experiment.fit
import fedmed.experiment.prepare
import fedmed.experiment.save
import fedmed.experiment.score  # noqa: F401
import train
from fedmed.backbones.weights import write_state
from fedmed.evaluation import evaluation_set, shifted
from fedmed.evaluation.metrics import evaluate
from fedmed.experiment import reference
from fedmed.experiment.settings import Settings
from fedmed.snapshot.manifest import SnapshotError, verify
from tests.endurance.fault_injection import (
    Trouble,
    count_writes,
    finish,
    fork,
    killed_at,
    limited_to,
    refused_from,
)
from tests.support.films import write_films
from tests.support.snapshots import random_backbone, tiny_snapshot

RESULTS = Path(__file__).parent / "results" / "crashes.json"
# Patients of each class, to train on and to test; for `--few` few, for most of a case is films.
PATIENTS, FEW = (20, 8), (6, 2)
OPTIONS = {"rounds": 2, "local_epochs": 1, "epochs": 2, "views": 2, "examples": 2, "hospitals": 3}
# Bytes: each stops another file, and none what the run says, which goes to one as well.
LIMITS = (200, 2000, 5000, 20_000, 1_000_000, 5_000_000)
# Ends of the paths written that stand for all, for `--few`: a run's first, a state, the snapshot's
# move into its place. tests/test_train.py kills a run at three more.
BEGINS, STATE, MOVE = "run.json", "fp16.safetensors", "snapshot"


@dataclass
class Tally:
    """How many cases of each kind were tried, and what went wrong in which."""

    tried: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def case(self, kind: str, name: str, problems: list[str]) -> None:
        self.tried[kind] += 1
        self.failures += [f"{kind} {name}: {problem}" for problem in problems]
        print(f"{kind:<32}{name:<50}{'; '.join(problems) or 'ok'}", flush=True)


@dataclass(frozen=True)
class Bench:
    """Films, a backbone and a finished run to compare with, all in `place`."""

    place: Path
    whole: dict[str, Any]  # what an undisturbed run leaves
    seconds: float  # that it takes with an empty cache
    writes: dict[str, list[str]]  # that it makes, with a "cold" and a "warm" cache

    def case(self, *, cold: bool = False) -> Settings:
        """The settings of a run in a folder of its own, an older snapshot in its output."""
        folder = Path(tempfile.mkdtemp(prefix="case-", dir=self.place))
        shutil.copytree(self.place / "old", folder / "snapshot")
        if not cold:
            shutil.copytree(self.place / "cache", folder / "cache")
        return _settings(self.place, folder / "snapshot")

    def judge(self, settings: Settings, *, ended: bool = False) -> list[str]:
        """Go on with the run of a case, where it has not `ended`; what is wrong with where that
        ends. Removes the case."""
        folder = settings.output.parent
        status, said = (0, "") if ended else finish(start(replace(settings, resume=True)))
        problems = [f"--resume ended with {status}: {said[-300:]}"] if status else []
        if not problems and outcome(settings.output) != self.whole:
            problems.append("another result")
        left = {path.name for path in folder.iterdir()} - {"snapshot", "cache"}
        problems += [f"left behind: {', '.join(sorted(left))}"] if left and not problems else []
        shutil.rmtree(folder)
        return problems


def prepare(place: Path, patients: tuple[int, int] = PATIENTS) -> Bench:
    """Make what all cases need, in processes that end: a fork of busy threads would hang."""

    def make() -> int:
        write_films(place / "clinic", *patients)
        backbone = random_backbone()
        write_state(backbone.state, backbone.origin, place / "backbone")
        tiny_snapshot(place / "old", seed=5)
        return 0

    _expect(0, finish(fork(make, place / "prepared.txt")))
    settings = _settings(place, place / "whole" / "snapshot")
    settings.output.parent.mkdir()
    writes: dict[str, list[str]] = {}
    seconds = 0.0
    for warmth in ("cold", "warm"):
        started = time.monotonic()
        counted = place / f"{warmth}.txt"
        _expect(0, finish(start(settings, functools.partial(count_writes, counted))))
        seconds = seconds or time.monotonic() - started
        writes[warmth] = counted.read_text().splitlines()
    # Once the cache is filled, runs with and without one do the same.
    filled = max(n for n, name in enumerate(writes["cold"], start=1) if "/cache/" in name)
    writes["cold"] = writes["cold"][:filled]
    shutil.move(place / "whole" / "cache", place / "cache")
    return Bench(place, outcome(settings.output), seconds, writes)


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


# --- runs


def start(settings: Settings, trouble: Trouble | None = None) -> tuple[int, Path]:
    """Start a run in a process of its own; its output goes to a file beside the snapshot's."""
    folder = settings.output.parent

    def run() -> int:
        os.environ["FEDMED_CACHE"] = str(folder / "cache")
        evaluation_set.evaluate = shifted.evaluate = functools.partial(evaluate, resamples=5)
        reference.MOST = 2  # of the radiographs that a run simulates
        torch.set_num_threads(1)
        if trouble:
            trouble()
        return train.run(settings)

    return fork(run, folder.with_name(f"{folder.name}.{time.monotonic_ns()}.txt"))


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


def kills(bench: Bench, tally: Tally, tried: Mapping[str, Sequence[int]], moments: int) -> None:
    """Killed at writes and at random moments."""
    for warmth, writes in tried.items():
        for write in writes:
            settings = bench.case(cold=warmth == "cold")
            status, said = finish(start(settings, killed_at(write)))
            problems = [] if status == -signal.SIGKILL else [f"ended with {status}: {said[-300:]}"]
            problems += _lost(bench, settings) + bench.judge(settings)
            tally.case(f"killed at a write, {warmth} cache", _named(bench, warmth, write), problems)
    chance = random.Random(1)
    for _ in range(moments):
        delay = chance.uniform(0, bench.seconds)
        settings = bench.case(cold=True)
        process = start(settings)
        time.sleep(delay)
        os.kill(process[0], signal.SIGKILL)
        finish(process)
        problems = _lost(bench, settings) + bench.judge(settings)
        tally.case("killed at a moment", f"{delay:.2f} s", problems)


def full_disks(
    bench: Bench, tally: Tally, tried: Mapping[str, Sequence[int]], limits: Sequence[int]
) -> None:
    """A disk that is full from some write on, one that takes no large file, a read-only one."""
    refusals: list[tuple[str, str, bool, Callable[[Path], Trouble]]] = []
    for warmth, writes in tried.items():
        for write in writes:
            full = functools.partial(refused_from, write, errno.ENOSPC)
            name = _named(bench, warmth, write)
            refusals.append((f"disk full, {warmth} cache", name, warmth == "cold", full))
    for size in limits:
        limited = functools.partial(_limited_anywhere, size)
        refusals.append(("file size limited", f"{size:,} bytes", size < limits[-1], limited))
    read_only = functools.partial(refused_from, 1, errno.EROFS)
    refusals.append(("read-only", "from the start", False, read_only))

    for kind, name, cold, trouble in refusals:
        settings = bench.case(cold=cold)
        status, said = finish(start(settings, trouble(settings.output.parent)))
        problems = _lost(bench, settings)
        # Of the last writes, none is needed for the result.
        done = status == 0 and _is_whole(bench, settings)
        if not done and (status not in (1, 2) or "Traceback" in said or "error: " not in said):
            problems.append(f"ended with {status}: {said[-600:]}")
        tally.case(kind, name, problems + bench.judge(settings))


def _limited_anywhere(size: int, place: Path) -> Trouble:
    return limited_to(size)


def _named(bench: Bench, warmth: str, write: int) -> str:
    return f"{write} {Path(bench.writes[warmth][write - 1].split()[1]).name}"


def two_at_once(bench: Bench, tally: Tally) -> None:
    first, second = bench.case(cold=True), bench.case(cold=True)
    (first.output.parent / "cache").mkdir()
    (second.output.parent / "cache").symlink_to(first.output.parent / "cache")
    runs = [start(settings) for settings in (first, second)]
    ended = [finish(run) for run in runs]
    problems = [f"ended with {status}: {said[-300:]}" for status, said in ended if status]
    done = not problems
    for settings in (second, first):
        problems += bench.judge(settings, ended=done)
    tally.case("two runs at once", "one cache", problems)

    settings = bench.case(cold=True)
    runs = [start(settings) for _ in range(2)]
    ended = [finish(run) for run in runs]
    apart = sorted(status for status, _ in ended) == [0, 2]
    problems = [] if apart else [f"ended with {status}: {said[-300:]}" for status, said in ended]
    problems += _lost(bench, settings)
    problems += bench.judge(settings, ended=apart)
    tally.case("two runs at once", "one output", problems)


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
    parser.add_argument("--few", action="store_true", help="a case of each kind")
    parser.add_argument("--json", type=Path, default=RESULTS, help="result [%(default)s]")
    options = parser.parse_args()
    tally, started = Tally(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fedmed-crashes-") as place:
        bench = prepare(Path(place), FEW if options.few else PATIENTS)
        every = {warmth: range(1, len(writes) + 1) for warmth, writes in bench.writes.items()}
        if options.few:
            warm = bench.writes["warm"]
            first, state, last = (
                pick(n for n, name in enumerate(warm, start=1) if name.endswith(end))
                for pick, end in ((min, BEGINS), (max, STATE), (max, MOVE))
            )
            kills(bench, tally, {"warm": [first, last]}, moments=1)
            full_disks(bench, tally, {"warm": [state]}, LIMITS[-1:])
        else:
            kills(bench, tally, every, moments=20)
            full_disks(bench, tally, {warmth: all[::4] for warmth, all in every.items()}, LIMITS)
        two_at_once(bench, tally)
    result = {
        "writes": {warmth: len(writes) for warmth, writes in bench.writes.items()},
        "tried": dict(tally.tried),
        "failed": tally.failures,
    }
    options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    seconds = time.monotonic() - started
    print(f"\n{sum(tally.tried.values())} cases in {seconds:.0f} s, {len(tally.failures)} failed")
    return 1 if tally.failures else 0


if __name__ == "__main__":
    raise SystemExit(main())

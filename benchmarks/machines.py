"""What a federation between processes takes: `python -m benchmarks.machines`.

Seconds, bytes on TCP, memory. Flower's processes and `.venv-flower` (`make flower`), simulated
patients, everything on this machine; a hospital has 40 patients. The server and all hospitals share
its cores, so a round of many hospitals takes longer here than on machines of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.measuring import table, write
from fedmed import cli
from fedmed.errors import UserError

REPOSITORY = Path(__file__).parent.parent
PYTHON = REPOSITORY / ".venv-flower" / "bin" / "python"
HEADS: dict[str, object] = {"local-epochs": 6, "batch-size": 16, "learning-rate": 3e-3, "views": 1}
NETWORKS: dict[str, object] = {"train": "network", "size": 64, "local-epochs": 1, "batch-size": 16}
# What a round takes, two tell; what one round gives beside five, five hospitals do.
CASES: list[tuple[int, dict[str, object]]] = [
    *((n, HEADS | {"algorithm": "fedavg", "rounds": 5 if n == 5 else 2}) for n in (2, 5, 10)),
    (5, HEADS | {"algorithm": "ridge", "rounds": 1}),
    *((2, NETWORKS | {"format": format, "rounds": 2}) for format in ("fp32", "int8")),
]
# A Flower process by what its command line names, the innermost first.
KINDS = {
    "flwr-serverapp": "coordinator",
    "flwr-clientapp": "hospital at work",
    "superexec": "waiting for work",
    "superlink": "server",
    "supernode": "hospital's node",
}
SAMPLE_SECONDS = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.machines", description=__doc__)
    parser.add_argument("--one", nargs=2, metavar=("HOSPITALS", "OPTIONS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one(int(options.one[0]), json.loads(options.one[1]))))
        return
    if not PYTHON.exists():
        raise UserError("Flower's environment is missing: `make flower` makes .venv-flower.")
    rows = []
    for count, given in CASES:
        done = subprocess.run(
            [PYTHON, "-m", "benchmarks.machines", "--one", str(count), json.dumps(given)],
            cwd=REPOSITORY,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        print(json.dumps(rows[-1]), flush=True)
    shown = [{name: v for name, v in row.items() if name != "memory, MiB"} for row in rows]
    print(f"\n{table(shown)}\n\nWritten: {write('machines', {'rows': rows})}")


def one(count: int, given: Mapping[str, object]) -> dict[str, Any]:
    """Run one federation, and return what it took."""
    from fedmed.data.simulated import simulated_cohort
    from fedmed.federated.state import State
    from fedmed.flower.coordinator import STATE
    from fedmed.flower.dealing import deal
    from fedmed.flower.loopback import SIMULATED_PATIENTS
    from fedmed.flower.options import Options
    from fedmed.flower.record import Record
    from fedmed.flower.rehearsal import Rehearsal

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cohort = simulated_cohort(SIMULATED_PATIENTS * count, 2)
        names = deal(cohort, None, folder / "xrays", count, seed=42)
        rehearsal = Rehearsal(folder, names)
        options = Options.of(given)
        with Memory() as memory:
            wire = rehearsal.run({"batch-norm": options.batch_norm, **given}, kill=None)
        record = Record.load(rehearsal.output)
        state = State.load(rehearsal.output / STATE)
        said = (folder / "logs" / "run.log").read_text(errors="replace")
    if record is None or not record.finished or len(record.evaluation) != count:
        raise UserError("the federation did not end with every hospital's counts")
    tn, fp, fn, tp = (sum(each) for each in zip(*record.evaluation.values(), strict=True))
    seconds = round_seconds(said)
    ledger = [sum(sum(one.values()) for one in way) for way in (state.ledger.up, state.ledger.down)]
    up, down = (sum(each) for each in zip(*wire.values(), strict=True))
    return {
        "hospitals": count,
        "trained": options.train,
        "algorithm": options.algorithm,
        "format": options.format,
        "rounds": state.round,
        "seconds of a round": statistics.median(seconds),
        "seconds of all": sum(seconds),
        "messages up": ledger[0] // count,
        "TCP up": up // count,
        "messages down": ledger[1] // count,
        "TCP down": down // count,
        "memory, MiB": memory.peaks(),
        "memory of all, MiB": memory.most,
        "balanced accuracy": (tp / (tp + fn) + tn / (tn + fp)) / 2,
    }


def round_seconds(log: str) -> list[float]:
    """Seconds of each round, by the coordinator's own clock: from when all were there."""
    told = re.findall(r"^(\d+(?::\d\d)+)  (.*)$", log, re.MULTILINE)
    joined = [_seconds(clock) for clock, words in told if " joined: " in words]
    ends = [_seconds(clock) for clock, words in told if re.match(r"Round \d+ of ", words)]
    return [after - before for before, after in zip([joined[-1], *ends], ends, strict=False)]


def _seconds(clock: str) -> float:
    total = 0
    for part in clock.split(":"):
        total = 60 * total + int(part)
    return float(total)


class Memory:
    """The most memory that Flower's processes had, files aside; looked at twice a second."""

    def __init__(self) -> None:
        self.most = 0.0  # of all together, in MiB
        self._peaks: dict[str, dict[int, float]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def peaks(self) -> dict[str, float]:
        """The largest process of each kind, in MiB."""
        return {kind: max(found.values()) for kind, found in self._peaks.items()}

    def _look(self) -> None:
        from fedmed.flower.processes import descendants

        while not self._over.wait(SAMPLE_SECONDS):
            together = 0.0
            for pid in descendants([os.getpid()]):
                with suppress(OSError, ValueError, IndexError):
                    line = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
                    status = Path(f"/proc/{pid}/status").read_text()
                    mebibytes = int(status.split("RssAnon:")[1].split()[0]) / 1024
                    together += mebibytes
                    kind = next((kind for part, kind in KINDS.items() if part in line), None)
                    if kind:
                        found = self._peaks.setdefault(kind, {})
                        found[pid] = max(found.get(pid, 0.0), mebibytes)
            self.most = max(self.most, together)


if __name__ == "__main__":
    raise SystemExit(cli.run(main))

"""python -m fedmed.flower.loopback, `make hospitals`: a federation between processes, to look at.

A SuperLink and a SuperNode for each hospital, over TLS and with keys, on this machine alone. One
hospital is killed on the way and brought back. In the end the same federation runs in one process,
as the record says who took part, and both must have the same bits, unless noise was added; a
snapshot is written, of heads with all that can be compared where one machine has all X-rays.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path

from fedmed import cli, data
from fedmed.errors import UserError
from fedmed.experiment.choices import ALGORITHMS, NEED_EVERYONE
from fedmed.experiment.settings import DEMO, DEMO_OF_NETWORKS
from fedmed.flower.options import Options
from fedmed.progress import say, step

OUTPUT = Path("build/hospitals")
SIMULATED_PATIENTS = 40  # for each hospital: of the rarer class, three to one that has fewest
TEST_PATIENTS = 40
KILLED_ROUNDS = 4  # at least, for one to be killed in, one to be missed, one to be back in
RECIPE = "robust"


def main(arguments: list[str] | None = None) -> int:
    """Run it all. Returns the exit status."""
    options = _parser().parse_args(arguments)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    return cli.run(lambda: rehearse(options))


def rehearse(options: argparse.Namespace) -> None:
    """Deal, run between processes, run again in one, compare, write a snapshot.

    Raises:
        UserError: something did not go as it should; two heads that differ are told as that.
    """
    # Imported here, so that --help is answered at once.
    from fedmed.federated.state import State
    from fedmed.flower.aftermath import compare, gathered, opened, snapshot, traffic
    from fedmed.flower.coordinator import STATE
    from fedmed.flower.dealing import deal
    from fedmed.flower.record import Record
    from fedmed.flower.rehearsal import Rehearsal
    from fedmed.flower.snapshot import how_to_look, write

    kill = not options.keep_alive and options.algorithm not in NEED_EVERYONE
    asked = {
        "hospitals": options.hospitals,
        "min-hospitals": options.hospitals - 1 if kill else 0,
        "train": options.train,
        "batch-norm": options.batch_norm,
        "algorithm": options.algorithm,
        "format": options.format,
        "epsilon": options.epsilon,
        "delta": options.delta,
        "secure-aggregation": options.secure_aggregation,
    }
    Options.of(asked)  # what makes no sense is refused before anything is done
    folder = _fresh(options.output)
    with step("Dealing X-rays to hospitals"):
        source, cohort = None, None
        if options.data == "simulated":
            from fedmed.data.simulated import simulated_cohort

            cohort = simulated_cohort(SIMULATED_PATIENTS * options.hospitals, TEST_PATIENTS)
        else:
            source, cohort = Path(options.data), data.load(options.data)
        names = deal(cohort, source, folder / "xrays", options.hospitals, seed=42)
    rehearsal = Rehearsal(folder, names)
    networks = options.train == "network"
    demo = (DEMO_OF_NETWORKS if networks else DEMO) if cohort.simulated else {}
    defaults = Options.of({"train": options.train})
    run = asked | {
        "size": options.size or demo.get("size", defaults.size),
        "rounds": max(options.rounds, KILLED_ROUNDS) if kill else options.rounds,
        "local-epochs": demo.get("local_epochs", defaults.local_epochs),
        "batch-size": demo.get("batch_size", defaults.batch_size),
        "learning-rate": demo.get("learning_rate", defaults.learning_rate),
        "views": demo.get("views", defaults.views),
        "recipe": RECIPE,
    }
    wire = rehearsal.run(run, kill=names[-1] if kill else None)
    record = Record.load(rehearsal.output)
    if record is None or not record.finished:
        raise UserError(f"the coordinator wrote no record of a run that ended: see {folder}/logs")
    state = State.load(rehearsal.output / STATE)
    print(traffic(state.ledger, wire))
    premises = opened(rehearsal)
    if options.epsilon:
        say("Noise is drawn once: no run in one process would end with the same head.")
        whole = gathered(rehearsal, record, state)
    else:
        with step("The same in one process"):
            whole = replace(compare(record, state, premises), ledger=state.ledger)
        say(f"The {options.train} is the same to the last bit.")
    place: Path | None = folder / "snapshot"
    if networks:  # to train central ones as well, and each hospital's, takes too long
        place = write(rehearsal.output, premises[0].backbone)
    else:
        snapshot(rehearsal, cohort, premises, record, whole)
    if place:
        print(how_to_look(place))


def _fresh(folder: Path) -> Path:
    """An empty folder in place of what a rehearsal before left."""
    marker = folder / ".rehearsal"
    if folder.exists() and any(folder.iterdir()) and not marker.exists():
        raise UserError(f"--output {folder} holds something else: name another folder")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    marker.touch()
    return folder


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make hospitals",
        description="A federation between processes on this machine: one server and some "
        "hospitals, over TLS and with keys. Ends with a snapshot.",
    )
    parser.add_argument(
        "--data", default="simulated", help="a folder as train.py takes it [simulated]"
    )
    parser.add_argument("--hospitals", type=int, default=5, help="how many [5]")
    parser.add_argument("--rounds", type=int, default=KILLED_ROUNDS, help=f"[{KILLED_ROUNDS}]")
    parser.add_argument("--algorithm", default="fedavg", choices=ALGORITHMS, metavar="NAME")
    parser.add_argument("--train", default="head", choices=("head", "network"), help="[head]")
    parser.add_argument("--size", type=int, help="of networks: the side of their input in pixels")
    parser.add_argument(
        "--batch-norm", default="average", choices=("average", "local", "frozen"), help="[average]"
    )
    parser.add_argument("--format", default="fp32", choices=("fp32", "fp16", "int8"))
    parser.add_argument("--epsilon", type=float, default=0.0, help="as the coordinator's [0.0]")
    parser.add_argument("--delta", type=float, default=1e-5, help="as the coordinator's [1e-05]")
    parser.add_argument("--secure-aggregation", action="store_true", help="as the coordinator's")
    parser.add_argument("--keep-alive", action="store_true", help="kill no hospital on the way")
    parser.add_argument("--output", type=Path, default=OUTPUT, help=f"[{OUTPUT}]")
    return parser


if __name__ == "__main__":
    sys.exit(main())

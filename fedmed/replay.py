"""python -m fedmed.replay: a federation between machines once more, in one process, bit for bit."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from fedmed import cli


def main(arguments: list[str] | None = None) -> int:
    """Run it again, and say whether the model is the same. Returns the exit status."""
    options = _parser().parse_args(arguments)
    return cli.run(lambda: _replay(options.federation, dict(options.hospitals)))


def _replay(folder: Path, places: dict[str, str]) -> None:
    from fedmed.errors import UserError
    from fedmed.federated.state import State
    from fedmed.flower.aftermath import compare
    from fedmed.flower.coordinator import STATE
    from fedmed.flower.premises import Premises
    from fedmed.flower.record import Record
    from fedmed.flower.terms import Terms
    from fedmed.progress import say, step

    record = Record.load(folder)
    if record is None or not record.finished:
        raise UserError(f"{folder} holds no federation that ended")
    if Terms.read(record.terms).epsilon:
        raise UserError(
            "the run was private: its noise was drawn once, and no second run ends with its model"
        )
    if set(places) != set(record.hospitals):
        raise UserError(
            f"name the X-rays of each hospital of the run, and of no other: "
            f"{' '.join(f'{name}=DATA' for name in record.hospitals)}"
        )
    state = State.load(folder / STATE)
    with TemporaryDirectory() as homes, step("The same in one process"):
        compare(
            record,
            state,
            [Premises.open(name, places[name], Path(homes, name)) for name in record.hospitals],
        )
    say(f"{folder}: one process ends with the same model, to the last bit.")


def _place(text: str) -> tuple[str, str]:
    name, equals, place = text.partition("=")
    if not (name and equals and place):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=DATA")
    return name, place


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fedmed.replay",
        description="Run a federation that ended once more, in this process, and hold the model "
        "against the one that machines made. For rehearsals: it needs all hospitals' X-rays here.",
    )
    parser.add_argument("federation", type=Path, help="the coordinator's --output")
    parser.add_argument(
        "hospitals",
        nargs="+",
        type=_place,
        metavar="NAME=DATA",
        help="each hospital's X-rays, as it had them",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

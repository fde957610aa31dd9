"""python -m fedmed.study SNAPSHOT: compare algorithms, splits, privacy, formats and poison.

It trains on the X-rays of the snapshot's run again, which a snapshot does not hold, and puts the
study into the snapshot's report and card; its models stay as they are. Of whole networks, which
take an hour where heads take seconds, it compares the formats of the updates.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fedmed import cli

if TYPE_CHECKING:
    from fedmed.experiment.run_state import RunState
    from fedmed.experiment.settings import Settings
    from fedmed.snapshot.reader import Snapshot


def main(arguments: list[str] | None = None) -> int:
    """Make the study and write it into the snapshot. Returns the exit status."""
    options = _parser().parse_args(arguments)

    def command() -> None:
        from fedmed.experiment.again import put_back, settings_of
        from fedmed.snapshot.reader import Snapshot
        from fedmed.snapshot.replace import claim

        with claim(options.snapshot):
            snapshot = Snapshot.open(options.snapshot)
            settings = settings_of(
                snapshot,
                cli.Elsewhere.of(options),
                aside="study",
                resume=options.resume,
                networks=True,
            )
            if options.workers:
                settings = replace(settings, workers=options.workers)
            work = _of_networks if snapshot.whole else _of_heads
            found, state, told = work(snapshot, settings, options)
            put_back(snapshot, state, report={**snapshot.report, **found})
        print("\nThe study\n" + "\n".join(f"- {text}" for text in told))
        print(f"\nIt is in {options.snapshot}. To look at it:")
        print(f"  {cli.command('app.py', FEDMED_SNAPSHOT=str(options.snapshot))}")

    return cli.run(
        command, resume_hint="Runs that ended are kept. The same command with --resume goes on."
    )


Found = tuple[dict[str, Any], "RunState", list[str]]


def _of_heads(snapshot: Snapshot, settings: Settings, options: argparse.Namespace) -> Found:
    """The report's new entries, what is kept of the run, and what it bears out."""
    from fedmed.experiment.again import prepare_again
    from fedmed.experiment.study import study
    from fedmed.report.studies import told
    from fedmed.report.study_schema import readable

    prepared = prepare_again(settings, snapshot, study=True)
    dealt = replace(settings, hospitals=len(prepared.parts))  # some may be forgotten
    before = readable(snapshot.report.get("study")) if options.keep else None
    found = study(dealt, prepared, seeds=options.seeds, before=before)
    return {"study": found}, prepared.state, told(found)  # type: ignore[arg-type]


def _of_networks(snapshot: Snapshot, settings: Settings, options: argparse.Namespace) -> Found:
    """As `_of_heads`, of the formats that the run has counted the bytes of and no more."""
    from fedmed.errors import UserError
    from fedmed.experiment.again import prepare_networks_again
    from fedmed.experiment.formats_of_networks import formats, lacking
    from fedmed.report.network_sections import told_of_formats

    before = snapshot.report["communication"]
    wanted = lacking(before)
    if options.keep or not wanted:
        raise UserError(
            "--keep is for a study of heads; leave it out."
            if options.keep
            else f"{snapshot.folder} has its networks measured in every format: nothing is lacking."
        )
    prepared = prepare_networks_again(settings, snapshot, study=True)
    measured: Any = {**before["formats"], **formats(settings, prepared, wanted)}
    return (
        {"communication": {**before, "formats": measured}},
        prepared.state,
        told_of_formats(measured),
    )


def _parser() -> argparse.ArgumentParser:
    parser = cli.parser_of_run(
        "fedmed.study",
        "Compare algorithms, splits, epsilons, formats and poison on the X-rays that a "
        "snapshot was trained on, and put what comes of it into its report and card. Features come "
        "from the feature cache where it has them; then it takes minutes.",
    )
    parser.add_argument(
        "--seeds", type=int, default=5, choices=range(2, 51), metavar="N",
        help="runs of each federation, from 2 to 50 [5]",
    )  # fmt: skip
    parser.add_argument(
        "--keep", action="store_true",
        help="take over from the study that is there what needs no noise, if a few of its runs "
        "come to the same today, and run what it lacks",
    )  # fmt: skip
    parser.add_argument("--workers", type=int, metavar="N", help="processes [one for each core]")
    parser.add_argument("--resume", action="store_true", help="go on with what was broken off")
    return parser


if __name__ == "__main__":
    sys.exit(main())

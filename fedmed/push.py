"""python -m fedmed.push SNAPSHOT USER/REPO: publish a snapshot that is already on disk."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fedmed import cli
from fedmed.snapshot import publish


def main(arguments: list[str] | None = None) -> int:
    """Publish and print the commit's URL. Returns the exit status."""
    options = _parser().parse_args(arguments)

    def command() -> None:
        from fedmed.snapshot.replace import mend  # torch is behind it, and --help needs none

        mend(options.snapshot)
        print(
            publish.publish(
                options.snapshot,
                options.repo,
                private=options.private,
                message=options.message,
            )
        )

    return cli.run(command, resume_hint="Nothing is published by half: run it again.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fedmed.push",
        description="Publish a snapshot to the Hugging Face Hub, in one commit: the repository "
        "holds the old snapshot or the new one, never a mix. A repository that holds anything but "
        "a snapshot is refused. The token is the one of `hf auth login`, or HF_TOKEN; it needs "
        "write access.",
        epilog="Exit status: 0 published, 2 bad usage or a bad snapshot, 1 the Hub failed (run it "
        "again), 130 interrupted.",
    )
    parser.add_argument(
        "snapshot", type=Path, metavar="SNAPSHOT", help="folder that train.py wrote"
    )
    parser.add_argument(
        "repo", metavar="USER/REPO", help="model repository; created if there is none"
    )
    parser.add_argument(
        "--private", action="store_true", help="create it private (default: public)"
    )
    parser.add_argument("--message", metavar="TEXT", help="commit message")
    return parser


if __name__ == "__main__":
    sys.exit(main())

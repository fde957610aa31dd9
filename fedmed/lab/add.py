"""python -m fedmed.lab.add SNAPSHOT: put features to federate on into a snapshot.

For a snapshot that was trained without --lab. Its models and its report stay as they are.
"""

from __future__ import annotations

import sys
from pathlib import Path

from fedmed import cli


def main(arguments: list[str] | None = None) -> int:
    """Put lab.safetensors into the snapshot. Returns the exit status."""
    options = cli.parser_of_run(
        "fedmed.lab.add",
        "Put features of its X-rays into a snapshot, for federations in the browser. The X-rays "
        "are those it was trained on, which a snapshot does not hold.",
    ).parse_args(arguments)
    return cli.run(lambda: add(options.snapshot, cli.Elsewhere.of(options)))


def add(folder: Path, elsewhere: cli.Elsewhere) -> None:
    """Write lab.safetensors into the snapshot at `folder`, in place of one that is there.

    Raises:
        UserError: it is no snapshot of heads, or was trained on other X-rays.
    """
    # Imported here, so that a mistaken option is answered at once.
    from fedmed.experiment.again import prepare_again, put_back, settings_of
    from fedmed.experiment.save import write_lab
    from fedmed.snapshot.lab_features import NAME
    from fedmed.snapshot.reader import Snapshot
    from fedmed.snapshot.replace import claim

    with claim(folder):
        snapshot = Snapshot.open(folder)
        settings = settings_of(snapshot, elsewhere, aside="lab", resume=False)
        prepared = prepare_again(settings, snapshot, lab=True)
        put_back(snapshot, prepared.state, add=lambda aside: write_lab(prepared, aside))
    print(f"{folder / NAME}: {(folder / NAME).stat().st_size:,} bytes")


if __name__ == "__main__":
    sys.exit(main())

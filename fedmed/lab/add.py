"""Put features to federate on into a snapshot: `python -m fedmed.lab.add SNAPSHOT --data DIR`.

For a snapshot that was trained without --lab. The X-rays must be those it was trained on, with the
same seed: so the same patients are held out. The snapshot is replaced whole.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from fedmed import cli
from fedmed.errors import UserError
from fedmed.snapshot import manifest
from fedmed.snapshot.lab_features import NAME
from fedmed.snapshot.replace import claim, move_into_place


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fedmed.lab.add", description=__doc__)
    parser.add_argument("snapshot", type=Path, help="folder of the snapshot")
    parser.add_argument("--data", required=True, help="as train.py has it")
    return parser.parse_args(arguments)


def add(folder: Path, data: str) -> None:
    """Write lab.safetensors into the snapshot at `folder`, in place of one that is there.

    Raises:
        UserError: it is no snapshot of heads, or was trained on other X-rays.
    """
    config = manifest.verify(folder)
    if "networks" in config:
        raise UserError(f"{folder} holds whole networks, and the lab wants a frozen backbone.")
    with (
        claim(folder),
        tempfile.TemporaryDirectory(prefix=".lab", dir=folder.absolute().parent) as place,
    ):
        aside = Path(place) / folder.name
        shutil.copytree(folder, aside)
        _write(aside, data, config)
        manifest.seal(aside, {name: part for name, part in config.items() if name != "files"})
        move_into_place(aside, folder)
    print(f"{folder / NAME}: {(folder / NAME).stat().st_size:,} bytes")


def _write(folder: Path, data: str, config: dict[str, object]) -> None:
    # Imported here, so that a mistaken option is answered at once.
    from fedmed.experiment.prepare import prepare
    from fedmed.experiment.save import write_lab
    from fedmed.experiment.settings import Settings
    from fedmed.experiment.timing import Stopwatch
    from fedmed.snapshot.reader import Snapshot

    report = Snapshot.open(folder).report
    with tempfile.TemporaryDirectory() as backbone:
        for path in folder.glob("backbone*"):
            shutil.copy(path, backbone)
        settings = Settings(
            data=data,
            backbone=backbone,
            output=folder.parent / "prepared",
            seed=config["seed"],  # type: ignore[arg-type]
            views=2,
            lab=True,
        )
        prepared = prepare(settings, Stopwatch())
        found = prepared.audit["training"], prepared.audit["held_out"]
        if found != (report["data"]["training"], report["data"]["held_out"]):
            raise UserError(f"--data {data} are not the X-rays that {folder.name} was trained on.")
        write_lab(prepared, folder)


if __name__ == "__main__":
    asked = parse()
    raise SystemExit(cli.run(lambda: add(asked.snapshot, asked.data)))

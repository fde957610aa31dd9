"""python -m fedmed.export SNAPSHOT DIR: every model as one full state dict for plain torchvision.

Each file loads with `torch.load(file, weights_only=True)` and goes into
`torchvision.models.resnet18(num_classes=2).load_state_dict` as it is.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from pathlib import Path

import torch
from torchvision.models import resnet18

from fedmed import cli
from fedmed.errors import UserError
from fedmed.files import write_atomically
from fedmed.snapshot.manifest import model_file
from fedmed.snapshot.reader import Snapshot
from fedmed.snapshot.replace import mend
from fedmed.task import CLASSES


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    mend(options.snapshot)
    for path in export(Snapshot.open(options.snapshot), options.folder):
        print(path, flush=True)


def export(snapshot: Snapshot, folder: Path) -> Iterator[Path]:
    """Write `central_model.pth`, `client_1_model.pth` ... into `folder`, yielding each when whole.

    Raises UserError where the folder cannot be written.
    """
    network = resnet18(num_classes=len(CLASSES))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for model in snapshot.models:
            network.load_state_dict(snapshot.state(model), strict=False)
            name = Path(model_file(model)).with_suffix(".pth").name
            content = io.BytesIO()
            # To a file, torch has an error of its own for a full disk.
            torch.save(dict(network.state_dict()), content)
            write_atomically(folder / name, content.getbuffer())
            yield folder / name
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error}. Name another folder.") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fedmed.export",
        description="Write every model of a snapshot as a .pth state dict that torchvision's "
        "resnet18(num_classes=2) loads as it is.",
        allow_abbrev=False,
    )
    parser.add_argument("snapshot", metavar="SNAPSHOT", type=Path, help="folder with a snapshot")
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder for the .pth files")
    return parser


if __name__ == "__main__":
    raise SystemExit(cli.run(main))

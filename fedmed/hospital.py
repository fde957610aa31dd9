"""python -m fedmed.hospital: one hospital of a federation between machines."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from fedmed import cli

HOME = Path("hospital-home")


def main(arguments: list[str] | None = None) -> int:
    """Say what leaves, look at a folder, or join a federation. Returns the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.what_leaves:
        from fedmed.flower.leaves import words

        print(words())
        return 0
    if options.check:
        return cli.run(lambda: _check(options))
    needed = {"--name": options.name, "--data": options.data, "--ca": options.ca}
    needed |= {"--key": options.key}
    if lacking := [flag for flag, value in needed.items() if value is None]:
        parser.error(f"--join needs {', '.join(lacking)}")
    return cli.run(lambda: _join(options))


def _check(options: argparse.Namespace) -> None:
    from fedmed.flower.budget import NO_LIMITS, Budget
    from fedmed.flower.premises import Premises

    folder = _folder(options, options.check)
    here = Premises.open("here", folder, options.home, options.backbone, options.patients)
    print(here.words())
    print(f"{options.home}: {Budget(options.home / 'privacy', NO_LIMITS).words()}")


def _folder(options: argparse.Namespace, where: str) -> str:
    """Where X-rays lie: this folder or, of an address, what was copied from it."""
    from fedmed.errors import UserError
    from fedmed.flower.dicomweb import SECRETS, is_address
    from fedmed.flower.dicomweb_copy import copy

    if not is_address(where):
        if options.labels:
            raise UserError("--labels is for an address; in a folder, put the CSV beside the files")
        return where
    if options.labels is None:
        raise UserError(
            "X-rays from an address need --labels FILE, a CSV that says which and what they show"
        )
    folder = copy(where, options.labels, options.home)
    for name in SECRETS:  # no other process that is started from here needs them
        os.environ.pop(name, None)
    return str(folder)


def _join(options: argparse.Namespace) -> None:
    from fedmed.errors import UserError
    from fedmed.flower.reach import wait_for
    from fedmed.flower.superlink import node_arguments
    from fedmed.flower.supernode import run
    from fedmed.progress import say

    for path in (options.ca, options.key):
        if not path.is_file():
            raise UserError(f"{path}: no such file; the coordinator sends it to you")
    # What Flower keeps lies there too, and not in this user's own folder.
    os.environ.setdefault("FLWR_HOME", str(options.home.absolute() / "flower"))
    data = os.path.abspath(_folder(options, options.data))
    if not os.path.exists(data):
        raise UserError(f"--data {options.data}: no such file or folder")
    say(f"{options.name} joins {options.join} with {data}. Ctrl-C ends it at any time.")
    wait_for(options.join, options.ca)
    say("The server is there. What it asks, and what leaves in answer, is told here.")
    settings = {
        "hospital": options.name,
        "data": data,
        "home": str(options.home.absolute()),
        "backbone": options.backbone,
    }
    if options.patients:
        settings["patients"] = options.patients
    for limit in ("max_epsilon", "max_total_epsilon"):
        if (epsilon := getattr(options, limit)) is not None:
            settings[limit.replace("_", "-")] = str(epsilon)
    run(
        node_arguments(
            address=options.join,
            ca=options.ca,
            key=options.key,
            port=options.port,
            settings=settings,
        )
    )


def _epsilon(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.01 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0.01 to 100")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fedmed.hospital",
        description="Take part in a federation with X-rays that stay here. docs/hospital.md is "
        "the page for it.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--check", metavar="DATA", help="look at X-rays as a run would, and join nothing"
    )
    what.add_argument(
        "--what-leaves", action="store_true", help="name everything that may leave, and no more"
    )
    what.add_argument("--join", metavar="HOST:PORT", help="join the federation of this server")
    parser.add_argument("--name", help="this hospital's name, as its key is registered")
    parser.add_argument(
        "--data",
        metavar="DATA",
        help="X-rays: a folder with NORMAL/ and PNEUMONIA/, a CSV, or DICOM files; or a DICOMweb "
        "address, https://HOST/PATH",
    )
    parser.add_argument(
        "--labels", type=Path, metavar="FILE", help="of an address: a CSV, see docs/hospital.md"
    )
    parser.add_argument("--ca", type=Path, metavar="FILE", help="the authority's ca.crt")
    parser.add_argument("--key", type=Path, metavar="FILE", help="this hospital's own key")
    parser.add_argument(
        "--home",
        type=Path,
        default=HOME,
        metavar="FOLDER",
        help=f"where features and models are kept [{HOME}]",
    )
    parser.add_argument("--backbone", default="imagenet", help="as train.py's [imagenet]")
    parser.add_argument("--patients", metavar="REGEX|CSV", help="as train.py's")
    parser.add_argument(
        "--max-epsilon",
        type=_epsilon,
        metavar="X",
        help="take no part in a run that promises patients less privacy than this epsilon (at "
        "delta 1e-5), or none",
    )
    parser.add_argument(
        "--max-total-epsilon",
        type=_epsilon,
        metavar="X",
        help="nor in one that would bring all runs of this home together above this",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=9094,
        help="on this machine alone, between Flower's own processes [9094]",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

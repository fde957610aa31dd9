"""python -m fedmed.federation_keys FOLDER: certificates and keys of a federation."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from fedmed import cli


def main(arguments: list[str] | None = None) -> int:
    """Write what is not there yet, and say where each file belongs. Returns the exit status."""
    options = _parser().parse_args(arguments)

    def command() -> None:
        from fedmed.flower import keys

        written = keys.make(options.folder, options.host, options.hospitals)
        for path in written:
            print(f"  {path}  {_place(path, keys)}")
        if not written:
            print("Everything is there already.")

    return cli.run(command)


def _place(path: Path, keys: object) -> str:
    if path.suffix == ".pub":
        return "stays: what the coordinator registers"
    if path.name == "ca.key":
        return "stays, best offline: it signs servers' certificates"
    if path.name == "ca.crt":
        return "goes to every hospital: by it they know the server"
    if path.stem == "server":
        return "stays: the server's own"
    return f"goes to {path.stem} alone, by a way you trust; delete it here"


def _name(text: str) -> str:
    from fedmed.flower.names import NAME

    if not NAME.fullmatch(text) or text in ("ca", "server"):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no name: letters, digits, dot, dash and underscore"
        )
    return text


def _host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.:-]{1,253}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no host name or address")
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fedmed.federation_keys",
        description="Make an authority, the server's certificate and a key for each hospital. "
        "What is there already stays: run it again to add a hospital.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where they are written")
    parser.add_argument(
        "--host",
        action="append",
        type=_host,
        metavar="HOST",
        help="a name or address by which hospitals reach the server; may be repeated",
        required=True,
    )
    parser.add_argument(
        "--hospitals", nargs="+", type=_name, default=[], metavar="NAME", help="their names"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""python -m fedmed.coordinator: the server of a federation between machines."""

from __future__ import annotations

import argparse
import signal
import sys
from dataclasses import fields
from pathlib import Path

from fedmed import cli


def main(arguments: list[str] | None = None) -> int:
    """Serve hospitals until the federation is done. Returns the exit status."""
    from fedmed.flower.options import Options

    parser = _parser()
    given = vars(parser.parse_args(arguments))
    if "delta" in given and not given.get("epsilon"):
        parser.error("--delta needs --epsilon")
    keys, host, port = given.pop("keys"), given.pop("host"), given.pop("port")
    options = {name.replace("_", "-"): value for name, value in given.items()}

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)

    def command() -> None:
        from fedmed.flower.serving import serve

        serve(Options.of(options), keys, host, port)

    hint = "Rounds that are done are kept: the same command goes on from there."
    return cli.run(command, resume_hint=hint)


def _parser() -> argparse.ArgumentParser:
    from fedmed.flower.options import Options

    parser = argparse.ArgumentParser(
        prog="python -m fedmed.coordinator",
        description="Serve a federation between machines: over TLS, to the hospitals whose public "
        "keys lie in KEYS/hospitals. docs/coordinator.md is the page for it.",
        epilog="Run again with the same options and output, it goes on after the last round.",
    )
    parser.add_argument(
        "--keys", type=Path, required=True, help="folder of python -m fedmed.federation_keys"
    )
    parser.add_argument("--host", default="0.0.0.0", help="address to listen on [0.0.0.0]")
    parser.add_argument("--port", type=int, default=8443, help="[8443]")
    for option in fields(Options):
        flag, kind = f"--{option.name.replace('_', '-')}", type(option.default)
        help = option.metadata["help"]
        if kind is bool:
            parser.add_argument(flag, action="store_true", default=argparse.SUPPRESS, help=help)
            continue
        parser.add_argument(
            flag,
            type=kind,
            default=argparse.SUPPRESS,
            metavar="X",
            help=f"{help} [{option.default}]",
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())

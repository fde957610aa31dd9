"""Which figures there are, and how to make all of them again: `python -m benchmarks`."""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import sys
from pathlib import Path

from fedmed import cli
from fedmed.errors import UserError

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--all", action="store_true", help="run every topic, which takes hours")
    parser.add_argument("--data", help="folder with the public data set, for those that need it")
    options = parser.parse_args()
    found = topics()
    for name, words in found.items():
        print(f"{name:10} {words}")
    if not options.all:
        return
    if not options.data:
        raise UserError("--all needs --data DIR, a folder with train/ and test/.")
    failed = [name for name in found if subprocess.run(command(name, options.data)).returncode]
    if failed:
        raise UserError(f"These topics failed: {', '.join(failed)}.")


def topics() -> dict[str, str]:
    """What each `python -m benchmarks.TOPIC` measures, by its module's first line."""
    found = {}
    for path in sorted(HERE.glob("[a-z]*.py")):
        words = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n")[
            0
        ]
        if path.stem != "readme" and f"`python -m benchmarks.{path.stem}" in words:
            found[path.stem] = re.sub(r"[:.]? ?`python -m [^`]*`\.?$", "", words)
    return found


def command(topic: str, data: str) -> list[str]:
    """The command of a topic, told where the X-rays are if it wants to know."""
    wants = '"--data"' in (HERE / f"{topic}.py").read_text(encoding="utf-8")
    return [sys.executable, "-m", f"benchmarks.{topic}", *(["--data", data] if wants else [])]


if __name__ == "__main__":
    raise SystemExit(cli.run(main))

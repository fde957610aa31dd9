"""Commands in the pages for hospitals and coordinators, and in units, are ones that are taken."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from fedmed import coordinator, federation_keys, hospital, replay

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted([DOCS / "hospital.md", DOCS / "coordinator.md", *DOCS.glob("systemd/*.service")])
COMMANDS = {
    "hospital": hospital,
    "coordinator": coordinator,
    "federation_keys": federation_keys,
    "replay": replay,
}


def commands(path: Path) -> list[tuple[str, list[str]]]:
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    found = re.findall(r"^.*\.venv-flower/bin/python -m fedmed\.(\w+) (.+)$", text, re.MULTILINE)
    return [(name, shlex.split(rest.partition("`")[0])) for name, rest in found]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_commands_are_taken(path):
    found = commands(path)
    assert found
    for name, arguments in found:
        COMMANDS[name]._parser().parse_args(arguments)

"""Which snapshots there are to choose from: what the environment names, or those that ship.

`FEDMED_SNAPSHOT`, folders and USER/REPO[@REVISION] with commas between them; else
`FEDMED_MODEL_REPO`; else those that come with FedMed. Nothing is opened here, and the Hub is asked
only where one of its repositories is to be opened.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

from fedmed.backbones import backbone
from fedmed.errors import UserError
from fedmed.snapshot import fetch
from fedmed.snapshot.manifest import CONFIG, printable
from fedmed.snapshot.replace import mend

VARIABLES = ("FEDMED_SNAPSHOT", "FEDMED_MODEL_REPO")
UNSET = f"Neither {' nor '.join(VARIABLES)} is set, so it is"
FETCH_SECONDS = 180.0

log = logging.getLogger(__name__)


class Located(NamedTuple):
    """A folder to open. The sentences are for visitors: they name no place on this machine."""

    folder: Path
    label: str  # "network", "folder NAME" or "USER/REPO@COMMIT"
    why: str
    called: str  # in place of the folder's path


@dataclass(frozen=True)
class Choice:
    """A snapshot to choose."""

    name: str  # what visitors and callers of the API choose it by
    label: str  # as in Located, without what only the Hub knows
    asked: str  # for the operator: what named it
    locate: Callable[[], Located]  # asks the Hub where it is there; UserError where it is not
    folder: Path | None = None  # None: on the Hub
    ships: bool = False


def named(environ: Mapping[str, str]) -> tuple[str | None, list[Choice]]:
    """The variable that is set, and what it names, in its order; None and nothing where none is."""
    variable = next((name for name in VARIABLES if environ.get(name, "").strip()), None)
    if variable is None:
        return None, []
    asked = environ[variable].strip()
    if variable != "FEDMED_SNAPSHOT":
        return variable, [_on_the_hub(asked, variable)]
    several = "," in asked and not _is_there(asked)
    parts = [part.strip() for part in asked.split(",")] if several else [asked]
    return variable, _told_apart(
        (_folder if _is_folder(part) else _on_the_hub)(part, variable)
        for part in dict.fromkeys(filter(None, parts)) or [asked]
    )


def shipped(reason: str) -> list[Choice]:
    """Those that come with FedMed, the one to show first first; `reason` begins why it is shown."""
    # A checkout may lack the networks, which are large.
    folders = {"network": backbone.NETWORK, "imagenet": backbone.IMAGENET}
    found = [name for name in folders if name != "network" or (folders[name] / CONFIG).is_file()]
    why = f"{reason} {'the one that comes' if len(found) == 1 else 'one of those that come'}"
    return [
        Choice(
            name,
            name,
            name,
            partial(Located, folders[name], name, f"{why} with FedMed.", name),
            folders[name],
            ships=True,
        )
        for name in found
    ]


def _told_apart(choices: Iterable[Choice]) -> list[Choice]:
    """Two folders may have one name: the second gets a number."""
    told: dict[str, Choice] = {}
    for choice in choices:
        names = (choice.name if n == 1 else f"{choice.name} ({n})" for n in count(1))
        name = next(name for name in names if name not in told)
        told[name] = replace(choice, name=name)
    return list(told.values())


def _folder(asked: str, variable: str) -> Choice:
    path = Path(asked).expanduser()
    name = printable(os.path.basename(os.path.abspath(path)) or str(path))
    locate = partial(_from_folder, path, variable)
    return Choice(name, f"folder {name}", f"{variable}={asked}", locate, path)


def _on_the_hub(asked: str, variable: str) -> Choice:
    locate = partial(_from_hub, asked, variable)
    return Choice(printable(asked), printable(asked), f"{variable}={asked}", locate)


def _from_folder(folder: Path, variable: str) -> Located:
    folder = folder.resolve()  # what messages say in its place is not put in place of every "."
    name = folder.name or str(folder)
    if not folder.is_dir():
        raise UserError(
            f"there is no folder {printable(name)}. {variable} takes a folder or USER/REPO."
        )
    return Located(folder, f"folder {name}", f"{variable} names this folder.", name)


def _from_hub(reference: str, variable: str) -> Located:
    repo, revision = fetch.parse_reference(reference)
    told: list[str] = []
    folder = _fetch(repo, revision, told.append)
    label = f"{repo}@{folder.name[:7]}"
    why = f"{variable} names this repository on the Hugging Face Hub."
    for words in told:
        log.warning("%s", words)
        why = f"{why} It is a copy fetched earlier: whether there is a newer one is not known."
    return Located(folder, label, why, label)


def _is_folder(asked: str) -> bool:
    """Whether a folder is meant: one is there, or the text could not name a repository."""
    return _is_there(asked) or not re.fullmatch(r"[\w-][\w.-]*/[\w.-]+(@.*)?", asked)


def _is_there(asked: str) -> bool:
    """Whether there is such a path, now that what a killed run moved away is put back."""
    try:
        path = Path(asked).expanduser()
        mend(path)
        return path.exists()
    except (OSError, RuntimeError, ValueError):  # a name too long, a home that nobody has
        return False


def _fetch(repo: str, revision: str | None, tell: Callable[[str], object]) -> Path:
    """`hub.fetch`, given up after FETCH_SECONDS; the download then goes on for the next time."""
    outcome: list[Path | Exception] = []

    def ask() -> None:
        try:
            outcome.append(fetch.fetch(repo, revision, tell=tell))
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(FETCH_SECONDS)
    if not outcome:
        raise UserError(
            f"the Hugging Face Hub did not deliver it within {FETCH_SECONDS:.0f} seconds."
        )
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]

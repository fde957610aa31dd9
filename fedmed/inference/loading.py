"""Which snapshot the app shows, and why.

`FEDMED_SNAPSHOT`, a folder or USER/REPO[@REVISION]; else `FEDMED_MODEL_REPO`; else the bundled
one. Whatever is wrong with what was asked for, the app starts: with the bundled one, and says so.
"""

from __future__ import annotations

import gc
import logging
import os
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from fedmed.backbones import backbone
from fedmed.errors import UserError
from fedmed.inference.predictor import Predictor
from fedmed.snapshot import fetch, original
from fedmed.snapshot.manifest import printable
from fedmed.snapshot.original import Original
from fedmed.snapshot.reader import Snapshot
from fedmed.snapshot.replace import mend

VARIABLES = ("FEDMED_SNAPSHOT", "FEDMED_MODEL_REPO")
FETCH_SECONDS = 180.0

log = logging.getLogger(__name__)

Page = TypeVar("Page")


@dataclass(frozen=True)
class Opened:
    """What the app shows. The sentences are for visitors: they name no place on this machine."""

    snapshot: Snapshot | Original
    predictor: Predictor
    label: str  # "bundled", "folder NAME" or "USER/REPO@COMMIT"
    why: str
    problem: str | None = None  # why it is not what was asked for


def open_snapshot(environ: Mapping[str, str] = os.environ) -> Opened:
    """`show` what was opened, undrawn."""
    return show(lambda opened: opened, environ)


def show(draw: Callable[[Opened], Page], environ: Mapping[str, str] = os.environ) -> Page:
    """Open and draw what the environment asks for, or else the bundled snapshot.

    The Hub is asked only for a repository, and given up after FETCH_SECONDS.

    Raises:
        UserError: the bundled snapshot itself does not open.
    """
    variable = next((name for name in VARIABLES if environ.get(name, "").strip()), None)
    if variable is None:
        why = f"Neither {' nor '.join(VARIABLES)} is set, so it is the one that comes with FedMed."
        return draw(_open(backbone.BUNDLED, "bundled", why))
    asked = environ[variable].strip()
    try:
        if variable == "FEDMED_SNAPSHOT":
            mend(Path(asked).expanduser())
        if variable == "FEDMED_SNAPSHOT" and _is_folder(asked):
            return draw(_from_folder(Path(asked).expanduser(), variable))
        return draw(_from_hub(asked, variable))
    except UserError as error:
        reason = str(error)
    # The page must come up, whatever a snapshot made by another program holds.
    except Exception as error:
        log.exception("%s=%s could not be opened", variable, asked)
        reason = f"this version of FedMed can't show it ({type(error).__name__})."
    log.warning("%s=%s could not be opened: %s", variable, asked, reason)
    problem = (
        f"{variable} asks for another snapshot, which could not be opened; the one that comes "
        f"with FedMed is shown instead. The reason: {reason}"
    )
    why = f"What {variable} asks for could not be opened, so it is the one that comes with FedMed."
    return draw(_open(backbone.BUNDLED, "bundled", why, problem))


def check(folder: Path) -> None:
    """Open a snapshot as the app will, before it takes the place of another.

    Raises:
        UserError: the app would refuse it.
    """
    _open(folder, "new", "it was just made", called="the snapshot that was made")
    gc.collect()  # Windows moves no file that tensors are mapped onto


def _from_folder(folder: Path, variable: str) -> Opened:
    folder = folder.resolve()  # what messages say in its place is not put in place of every "."
    name = folder.name or str(folder)
    if not folder.is_dir():
        raise UserError(
            f"there is no folder {printable(name)}. {variable} takes a folder or USER/REPO."
        )
    return _open(folder, f"folder {name}", f"{variable} names this folder.", called=name)


def _from_hub(reference: str, variable: str) -> Opened:
    repo, revision = fetch.parse_reference(reference)
    told: list[str] = []
    folder = _fetch(repo, revision, told.append)
    label = f"{repo}@{folder.name[:7]}"
    why = f"{variable} names this repository on the Hugging Face Hub."
    for words in told:
        log.warning("%s", words)
        why = f"{why} It is a copy fetched earlier: whether there is a newer one is not known."
    return _open(folder, label, why, called=label)


def _open(
    folder: Path, label: str, why: str, problem: str | None = None, called: str = "bundled"
) -> Opened:
    """Open a folder and all that is shown of it, so that nothing can fail later.

    Raises:
        UserError: it does not open; the message says `called` in place of the folder's path.
    """
    try:
        snapshot: Snapshot | Original
        if original.is_original(folder):
            snapshot = Original(folder)
        else:
            snapshot = Snapshot.open(folder)
            _ = snapshot.report, snapshot.examples
        predictor = Predictor(snapshot)
        _try(predictor, folder)
        return Opened(snapshot, predictor, label, why, problem)
    except UserError as error:
        raise UserError(str(error).replace(str(folder), called)) from error


def _try(predictor: Predictor, folder: Path) -> None:
    """Read a picture: weights may be finite, and what comes of them not."""
    ramp = np.add.outer(np.arange(112), np.arange(112)).astype(np.uint8)
    answers = predictor.predict_image(Image.fromarray(ramp)).probabilities
    if not all(np.isfinite(list(answer.values())).all() for answer in answers.values()):
        raise UserError(f"{folder}: the models' answers are not finite numbers.")


def _is_folder(asked: str) -> bool:
    """Whether a folder is meant: one is there, or the text could not name a repository."""
    path = Path(asked).expanduser()
    repository = re.fullmatch(r"[\w-][\w.-]*/[\w.-]+(@.*)?", asked)
    return path.exists() or repository is None


def _fetch(repo: str, revision: str | None, tell: Callable[[str], object]) -> Path:
    """`hub.fetch`, given up after FETCH_SECONDS; the download then goes on for the next start."""
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

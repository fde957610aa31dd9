"""A snapshot opened with all that is shown of it, so that nothing can fail later."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from fedmed.errors import UserError
from fedmed.inference.predictor import Predictor
from fedmed.report.machines_report import MachinesReport
from fedmed.report.schema import Report
from fedmed.snapshot import original
from fedmed.snapshot.original import Original
from fedmed.snapshot.reader import Snapshot


@dataclass(frozen=True)
class Opened:
    """What the app shows. The sentences are for visitors: they name no place on this machine."""

    snapshot: Snapshot | Original
    predictor: Predictor
    label: str  # "network", "folder NAME" or "USER/REPO@COMMIT"
    why: str
    problem: str | None = None  # why it is not what was asked for

    @property
    def report(self) -> Report | None:
        """What is told of all models, if it came with them."""
        return None if self.machines else self.snapshot.report

    @property
    def machines(self) -> MachinesReport | None:
        """What is told of a federation between machines in its place."""
        stored = self.snapshot
        if isinstance(stored, Snapshot) and stored.between_machines:
            return stored.machines_report
        return None


def open_folder(
    folder: Path, label: str, why: str, problem: str | None = None, called: str = "bundled"
) -> Opened:
    """Open a folder and all that is shown of it.

    Raises:
        UserError: it does not open; the message says `called` in place of the folder's path.
    """
    try:
        snapshot: Snapshot | Original
        if original.is_original(folder):
            snapshot = Original(folder)
        else:
            snapshot = Snapshot.open(folder)
            _ = snapshot.examples
            _ = snapshot.machines_report if snapshot.between_machines else snapshot.report
        predictor = Predictor(snapshot)
        _try(predictor, folder)
        return Opened(snapshot, predictor, label, why, problem)
    except UserError as error:
        raise UserError(str(error).replace(str(folder), called)) from error


def check(folder: Path) -> None:
    """Open a snapshot as the app will, before it takes the place of another.

    Raises:
        UserError: the app would refuse it.
    """
    open_folder(folder, "new", "it was just made", called="the snapshot that was made")
    gc.collect()  # Windows moves no file that tensors are mapped onto


def _try(predictor: Predictor, folder: Path) -> None:
    """Read a picture: weights may be finite, and what comes of them not."""
    ramp = np.add.outer(np.arange(112), np.arange(112)).astype(np.uint8)
    answers = predictor.predict_image(Image.fromarray(ramp)).probabilities
    if not all(np.isfinite(list(answer.values())).all() for answer in answers.values()):
        raise UserError(f"{folder}: the models' answers are not finite numbers.")

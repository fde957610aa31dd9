"""What an unfinished run keeps, so that `--resume` ends with the same bits.

Features are in the feature cache and everything else but the federations takes seconds, so the
federations are all there is to keep: the last round of each, in a folder beside the output.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from fedmed.code_digest import OF_ROUNDS, code_digest
from fedmed.data.cohort import Xray
from fedmed.errors import UserError
from fedmed.experiment.settings import Settings
from fedmed.federated.state import State
from fedmed.files import read_json, write_atomically


class RunState:
    """The federations of a run so far.

    A run of other options, images, backbone or code is not gone on with.

    Raises:
        UserError: `--resume`, and what is there belongs to another run; or something else is there.
    """

    def __init__(
        self, settings: Settings, backbone: str, xrays: Sequence[Xray], engine: str
    ) -> None:
        self.folder = settings.partial
        self._resume = settings.resume
        self._marker = self.folder / "run.json"
        # A label or a patient that was corrected makes another training set of the same pictures.
        images = json.dumps([(x.name, x.label, x.patient, x.digest) for x in xrays])
        run = {
            "settings": settings.of_the_run(),
            "backbone": backbone,
            "images": hashlib.sha256(images.encode()).hexdigest(),
            "engine": engine,
            "code": code_digest(OF_ROUNDS),
        }
        self._run = json.dumps(run, indent=1, default=str).encode()
        self._goes_on = settings.resume and self._marker.is_file()
        if self._goes_on and self._marker.read_bytes() != self._run:
            raise UserError(
                f"--resume: {self.folder} belongs to a run with other options, images, labels, "
                "backbone or engine, or of another version of FedMed or of a library. Repeat its "
                "options, or leave out --resume to start anew."
            )
        if self._is_foreign():
            raise UserError(
                f"{self.folder} is in the way: an unfinished run would be kept there, and it "
                "holds something else. Move it, or name another --output."
            )

    def begin(self) -> None:
        """Go on with what is there, or start with an empty folder."""
        if self._goes_on:
            return
        self.finish()
        self.folder.mkdir(parents=True)
        write_atomically(self._marker, self._run)

    def words(self, asked: int, lacking: int) -> str:
        """What this run will not do again, of so many passes; empty if there is nothing to say."""
        rounds = rounds_kept(self.folder) if self._goes_on else {}
        kept = [f"{asked - lacking:,} of {asked:,} backbone passes"] if lacking < asked else []
        kept += [f"round {n} of the federation {_told(wire)}" for wire, n in rounds.items()]
        if kept:
            return f"Kept from before: {', '.join(kept)}."
        if self._resume:
            return "--resume: nothing kept: starts from the beginning."
        return ""

    def federation(self, wire: str) -> State | None:
        """The federation with a wire format after the last round that was kept, if any was."""
        path = self._path(wire)
        return State.load(path) if path.exists() else None

    def keeper(self, wire: str) -> Callable[[State], None]:
        """What to do after each round: write it down, in place of the one before."""
        return lambda now: now.save(self._path(wire))

    def networks(self) -> Path:
        """The folder in which networks are kept between two trainings."""
        folder = self.folder / "networks"
        folder.mkdir(exist_ok=True)
        return folder

    def outbox(self) -> Path:
        """The file in which a private run keeps what was sent; federations lie one folder up."""
        folder = self.folder / "private"
        folder.mkdir(exist_ok=True)
        return folder / "sent.safetensors"

    def aside(self) -> Path:
        """An empty folder in which the snapshot is put together."""
        folder = self.folder / "snapshot"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    def finish(self) -> None:
        """The run is over: nothing of it is needed any more."""
        # The marker goes last: what a kill leaves is still known to be a run's.
        for path in self.folder.glob("*"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path != self._marker:
                with suppress(OSError):
                    path.unlink()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, wire: str) -> Path:
        return self.folder / f"{wire}.safetensors"

    def _is_foreign(self) -> bool:
        if self.folder.is_symlink() or not self.folder.is_dir():
            return os.path.lexists(self.folder)
        half_written = f"{self._marker.name}.*.partial"  # by a run that was killed as it began
        names = [path for path in self.folder.iterdir() if not path.match(half_written)]
        return bool(names) and not self._is_run()

    def _is_run(self) -> bool:
        try:
            return {"settings", "backbone", "images"} <= set(read_json(self._marker))
        except (OSError, ValueError, TypeError):
            return False


def rounds_kept(folder: Path) -> dict[str, int]:
    """The last round of each federation that an unfinished run keeps in its folder."""
    return {path.stem: State.load(path).round for path in sorted(folder.glob("*.safetensors"))}


def _told(wire: str) -> str:
    ways = {"unprotected": "without privacy", "masked": "behind masks"}
    return ways.get(wire, f"in {wire}")


def kept_words(settings: Settings) -> str:
    """What a run that was broken off keeps, and how to go on."""
    kept = ["the passes that were done, in the cache of features"]
    if settings.train == "network":
        kept = ["what each network was trained in its rounds so far"]
    with suppress(UserError, OSError):
        kept += [f"round {n} {_told(w)}" for w, n in rounds_kept(settings.partial).items()]
    return f"Kept: {', '.join(kept)}. The same command with --resume goes on from here."

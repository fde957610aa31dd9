"""Who took part in a federation between machines, and how it was guarded: the report's words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fedmed.errors import UserError
from fedmed.files import read_json, write_atomically

FILE = "federation.json"


@dataclass
class Record:
    """A run so far. Names are those that hospitals gave themselves."""

    engine: str
    version: str
    tls: bool
    authentication: str  # how a node is known, or that it is not
    privacy: str
    terms: str
    class_weights: list[float]
    # Of a private run, patients and hospitals when it began.
    public: list[int] = field(default_factory=list)
    # As each told when it joined: images per class, patients, held out per class.
    hospitals: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)  # who may not take part, and why
    rounds: list[dict[str, Any]] = field(default_factory=list)
    # Counted on patients that hospitals held out: TN, FP, FN, TP.
    evaluation: dict[str, list[int]] = field(default_factory=dict)
    finished: bool = False

    def after(self, number: int, present: Sequence[str], missing: dict[str, str]) -> None:
        """Add a round: who took part in it, and why others did not."""
        self.rounds.append({"round": number, "hospitals": [*present], "missing": missing})

    def report(self) -> dict[str, Any]:
        """Return what evaluation.json's `federation` says of it."""
        return {
            "engine": self.engine,
            "version": self.version,
            "hospitals": [*self.hospitals],
            "rounds": self.rounds,
            "tls": self.tls,
            "authentication": self.authentication,
            "privacy": self.privacy,
        }

    def save(self, folder: Path) -> None:
        """Write it down, whole or not at all."""
        write_atomically(folder / FILE, json.dumps(asdict(self), indent=1).encode())

    @classmethod
    def load(cls, folder: Path) -> Record | None:
        """Read what `save` wrote, if it did.

        Raises:
            UserError: something else is there.
        """
        path = folder / FILE
        if not path.exists():
            return None
        try:
            return cls(**read_json(path))
        except (OSError, ValueError, TypeError) as error:
            raise UserError(
                f"{path} is no record of a federation ({error}): name another output"
            ) from error

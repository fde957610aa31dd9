"""What was sent is kept before it leaves, so that noise is drawn once, whatever is interrupted.

Noise has no seed: trained again, a round would send other numbers about the same patients and cost
its privacy a second time. So a round's result is on the disk before anybody gets to see it, and
whoever goes on sends that.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save

from fedmed.errors import UserError
from fedmed.files import read_tensors, write_atomically
from fedmed.training.tensors import Tensors


@dataclass(frozen=True)
class Outbox:
    """The last round that was sent, in one file, which may not be there yet."""

    path: Path

    def find(self, hospitals: Sequence[str], epochs: range) -> Tensors | None:
        """Return what these hospitals sent for these epochs, bit by bit, if they did.

        Raises:
            UserError: it is damaged, or of other hospitals: to train again would spend twice.
        """
        if not self.path.exists():
            return None
        sent, about = read_tensors(self.path)
        try:
            first, stop, names = json.loads(about["round"])
        except (KeyError, ValueError, TypeError) as error:
            raise self._refusal("is no round that was sent") from error
        if (first, stop) == (epochs.start, epochs.stop):
            if names != list(hospitals):
                raise self._refusal("is of other hospitals")
            return sent
        if stop > epochs.start:
            raise self._refusal(f"is of a later round, up to epoch {stop}")
        return None

    def keep(self, sent: Tensors, hospitals: Sequence[str], epochs: range) -> None:
        """Keep what is about to be sent, in place of the round before; it is on the disk then."""
        about = json.dumps([epochs.start, epochs.stop, list(hospitals)])
        write_atomically(self.path, save(sent, {"round": about}))

    def _refusal(self, fault: str) -> UserError:
        return UserError(
            f"{self.path} {fault}, and training that round again would spend its privacy twice: "
            "start anew without --resume, which spends an epsilon of its own"
        )

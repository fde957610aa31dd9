"""What a hospital keeps at home between two rounds; none of it is sent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save

from fedmed.files import read_tensors, write_atomically
from fedmed.training.tensors import Tensors, group, under


@dataclass(frozen=True)
class Kept:
    """After a round: what the algorithm and the channel keep, [1, ...], and what was received."""

    round: int
    own: Tensors
    kept: Tensors
    held: Tensors


@dataclass(frozen=True)
class Memory:
    """A folder with two rounds of one run: the last that counted, and the last that was done.

    An answer may be lost on its way, or the coordinator be killed before it writes it down: then
    that round never was, and whoever goes on from it would not end with the bits of the others.
    """

    folder: Path

    def at(self, number: int) -> Kept | None:
        """Return what was kept after a round; None where nothing was."""
        path = self._path(number)
        if not path.exists():
            return None
        tensors, _ = read_tensors(path)
        parts = {name: group(tensors, name) for name in ("own", "kept", "held")}
        return Kept(number, **parts)

    def keep(self, now: Kept, *, counted: int) -> None:
        """Write down what a round left, and forget all others but the one that counted last."""
        self.folder.mkdir(parents=True, exist_ok=True)
        tensors: Tensors = {}
        for name in ("own", "kept", "held"):
            part: Tensors = getattr(now, name)
            tensors |= {key: t.contiguous() for key, t in under(name, part).items()}
        write_atomically(self._path(now.round), save(tensors))
        for path in self.folder.glob("round_*.safetensors"):
            if path not in (self._path(now.round), self._path(counted)):
                path.unlink(missing_ok=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"round_{number}.safetensors"

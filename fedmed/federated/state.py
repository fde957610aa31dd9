"""What a federation is after some rounds, and how it is kept."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from fedmed.errors import UserError
from fedmed.federated.ledger import Ledger
from fedmed.training.heads import Heads, new_heads, stack

_HEADS = ("global_heads", "shared", "local")


@dataclass(frozen=True, eq=False)
class State:
    """Everything a federation is after some rounds; enough to go on from."""

    global_heads: Heads  # the server's after each round, H = rounds done
    shared: Heads  # what the hospitals hold of it, H = 1: behind by a round, or by quantization
    local: Heads  # each hospital's own, after its training in the last round
    ledger: Ledger = field(default_factory=Ledger)

    @property
    def round(self) -> int:
        """Rounds done."""
        return len(self.global_heads.weight)

    @property
    def global_head(self) -> Heads:
        """The server's now, H = 1."""
        return Heads(*(part[-1:] for part in stack([new_heads(1), self.global_heads])))

    def save(self, path: Path) -> None:
        """Write one safetensors file, whole or not at all."""
        tensors = {
            f"{name}.{part}": tensor.contiguous()
            for name in _HEADS
            for part, tensor in getattr(self, name)._asdict().items()
        }
        # A tensor of bytes: safetensors limits its header, and many hospitals would pass that.
        ledger = json.dumps(asdict(self.ledger)).encode()
        tensors["ledger"] = torch.frombuffer(bytearray(ledger), dtype=torch.uint8)
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        try:
            with partial.open("wb") as file:
                file.write(save(tensors, {"sha256": _sha256(tensors)}))
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path) -> State:
        """Read what `save` wrote, bit by bit; raises UserError where the file is anything else."""
        try:
            with safe_open(path, framework="pt") as file:
                # Copies, for a tensor on a mapped file keeps Windows from replacing that file.
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
                if file.metadata()["sha256"] != _sha256(tensors):
                    raise ValueError("its sha256 differs")
            heads = {
                name: Heads(*(tensors[f"{name}.{part}"] for part in Heads._fields))
                for name in _HEADS
            }
            ledger = json.loads(tensors["ledger"].numpy().tobytes())
            return cls(**heads, ledger=Ledger(**ledger))
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path}: not a saved federation ({error}): start again without --resume"
            ) from error


def _sha256(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()

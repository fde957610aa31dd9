"""What a federation is after some rounds, and how it is kept."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from fedmed.errors import UserError
from fedmed.federated.ledger import Ledger
from fedmed.training.tensors import Tensors, digest, group, pick, under

_GROUPS = ("server", "own", "held", "kept", "models")


@dataclass(frozen=True, eq=False)
class State:
    """Everything a federation is after some rounds, as named tensors; enough to go on from."""

    server: Tensors  # what the algorithm keeps at the server
    own: Tensors  # and at the hospitals, which lie along the first axis
    held: (
        Tensors  # the broadcast as hospitals have it: behind by a round, and by what rounding lost
    )
    kept: Tensors  # what the channel's transforms keep at the hospitals
    models: Tensors  # the global model after each round, rounds along the first axis
    ledger: Ledger = field(default_factory=Ledger)

    @property
    def round(self) -> int:
        """Rounds done."""
        return len(self.ledger.up)

    @property
    def model(self) -> Tensors:
        """The global model after the last round, of at least one."""
        return pick(self.models, -1)

    def save(self, path: Path) -> None:
        """Write one safetensors file, whole or not at all."""
        tensors = {
            name: tensor.contiguous()
            for part in _GROUPS
            for name, tensor in under(part, getattr(self, part)).items()
        }
        # A tensor of bytes: safetensors limits its header, and many hospitals would pass that.
        ledger = json.dumps(asdict(self.ledger)).encode()
        tensors["ledger"] = torch.frombuffer(bytearray(ledger), dtype=torch.uint8)
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        try:
            with partial.open("wb") as file:
                arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
                file.write(save(arrays, {"sha256": digest(tensors)}))
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
                if file.metadata()["sha256"] != digest(tensors):
                    raise ValueError("its sha256 differs")
            groups = {name: group(tensors, name) for name in _GROUPS}
            ledger = json.loads(tensors["ledger"].numpy().tobytes())
            return cls(**groups, ledger=Ledger(**ledger))
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path}: not a saved federation ({error}): start again without --resume"
            ) from error

"""Federated learning in rounds: broadcast, local training, aggregate.

Only updates travel: what changed since the head that both sides already hold. The server sees
decoded updates and sample counts, never an image, a feature or a label.
"""

from __future__ import annotations

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from fedmed.errors import UserError
from fedmed.training.heads import Heads, add, subtract, new_heads, stack, unstack
from fedmed.training.local_training import Site, train
from fedmed.training.optimizer import Optimisation
from fedmed.transport import Ledger, decode, encode


class Algorithm(ABC):
    """What a federated algorithm decides; the rounds and the wire are the same for all."""

    def train(
        self,
        shared: Heads,
        sites: Sequence[Site],
        epochs: range,
        settings: Optimisation,
        *,
        seed: int,
    ) -> Heads:
        """At the hospitals: H local heads, each from the shared head (H = 1) and its own site."""
        return train(stack([shared] * len(sites)), sites, epochs, settings, seed=seed)

    @abstractmethod
    def aggregate(self, updates: Heads, samples: Tensor) -> Heads:
        """On the server: H updates and sample counts [H] made into one update (H = 1)."""


class FedAvg(Algorithm):
    """Federated averaging (McMahan et al. 2017): the mean, weighted by number of samples."""

    def aggregate(self, updates: Heads, samples: Tensor) -> Heads:
        share = samples / samples.sum()
        weight = torch.einsum("h,hcf->cf", share, updates.weight)
        return Heads(weight[None], torch.einsum("h,hc->c", share, updates.bias)[None])


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


def federate(
    sites: Sequence[Site],
    *,
    algorithm: Algorithm,
    rounds: int,
    local_epochs: int,
    settings: Optimisation,
    format: str = "fp32",
    seed: int,
    state: State | None = None,
    on_round: Callable[[State], None] | None = None,
) -> State:
    """Go on from `state`, or start from zero heads, until `rounds` rounds are done.

    The last global head stays on the server: a round sends down what the round before made.
    `on_round` gets the state after each round. Epochs are numbered through all rounds, so that
    augmented views rotate. Stopped anywhere and resumed, a run ends with the same bits.
    """
    state = state or State(new_heads(0), new_heads(1), new_heads(len(sites)))
    for number in range(state.round, rounds):
        epochs = range(number * local_epochs, (number + 1) * local_epochs)
        state = _round(state, sites, algorithm, epochs, settings, format, seed)
        if on_round:
            on_round(state)
    return state


def _round(
    state: State,
    sites: Sequence[Site],
    algorithm: Algorithm,
    epochs: range,
    settings: Optimisation,
    format: str,
    seed: int,
) -> State:
    # The server, too, applies the decoded bytes to its copy of the shared head: what quantization
    # loses on the way down stays in the difference that the next round sends.
    message = encode(subtract(state.global_head, state.shared), format)
    shared = add(state.shared, decode(message))

    local = algorithm.train(shared, sites, epochs, settings, seed=seed)
    messages = [encode(update, format) for update in unstack(subtract(local, shared))]

    updates = stack([decode(message) for message in messages])
    samples = torch.tensor([len(site.labels) for site in sites])
    names = [site.name for site in sites]
    global_head = add(state.global_head, algorithm.aggregate(updates, samples))
    return State(
        global_heads=stack([state.global_heads, global_head]),
        shared=shared,
        local=local,
        ledger=state.ledger.after(
            up={name: len(sent) for name, sent in zip(names, messages, strict=True)},
            down=dict.fromkeys(names, len(message)),
        ),
    )


def _sha256(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()

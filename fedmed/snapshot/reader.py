"""A snapshot: the folder every run ends in and the app begins with.

It opens only if every sha256 in its config.json holds, and it appears whole or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fedmed.backbones.backbone import Backbone, read
from fedmed.backbones.resnet18 import WIDTH
from fedmed.backbones.weights import State
from fedmed.errors import UserError
from fedmed.files import read_json, read_tensors
from fedmed.imaging.preprocessing import PREPROCESSING
from fedmed.report import document, machines_report
from fedmed.report.machines_report import MachinesReport
from fedmed.report.schema import Report
from fedmed.snapshot.manifest import (
    CONFIG,
    EXAMPLES,
    REPORT,
    SnapshotError,
    check_fields,
    of_machines,
    printable,
    verify,
)
from fedmed.snapshot.model_group import ModelGroup
from fedmed.snapshot.networks import BASE, check_networks, read_network, read_networks
from fedmed.task import CLASSES
from fedmed.training.heads import Heads

EXAMPLE = ("file", "label", "source", "licence")


@dataclass(frozen=True)
class Snapshot:
    """An opened, verified snapshot."""

    folder: Path
    config: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> Snapshot:
        """Open a folder.

        Raises:
            SnapshotError: it is no snapshot, a file is missing or differs from its sha256, or it
                was made for another input.
        """
        config = verify(folder)
        check_fields(config, folder)
        if "networks" in config:
            check_networks(folder, config)
        if config.get("preprocessing") != PREPROCESSING:
            raise SnapshotError(
                f"{folder} was made for another preprocessing than this version of FedMed does."
            )
        return cls(folder, config)

    @property
    def models(self) -> list[str]:
        """`central`, `federated`, `hospital_1` ..., in the order they are shown."""
        return list(self.config["models"])

    @property
    def whole(self) -> bool:
        """Whether every model is a network of its own, and not a head on a backbone of all."""
        return "networks" in self.config

    @property
    def between_machines(self) -> bool:
        """Whether it holds the federated model alone, of hospitals that are machines."""
        return of_machines(self.config)

    @cached_property
    def report(self) -> Report:
        """The stored evaluation.json.

        Raises:
            SnapshotError: it lacks a field that FedMed reads, or is of other models, or is a
                federation's between machines: `machines_report` is that.
        """
        if self.between_machines:
            raise SnapshotError(
                f"{self.folder} is of a federation between machines: it holds the federated model "
                "and nothing of the hospitals', so that this cannot be done with it."
            )
        report = self._validated(document.validate)
        if set(report["protocols"]["test"]["models"]) != set(self.models):
            raise SnapshotError(f"{self.folder}: {REPORT} is of other models than {CONFIG} names.")
        return report

    @cached_property
    def machines_report(self) -> MachinesReport:
        """The stored evaluation.json of a federation between machines.

        Raises:
            SnapshotError: as `report`.
        """
        return self._validated(machines_report.validate)

    def _validated(self, validate: Callable[[Any], Any]) -> Any:
        try:
            return validate(read_json(self.folder / REPORT))
        except (OSError, ValueError) as error:
            raise SnapshotError(f"{self.folder}: {REPORT} is damaged: {error}.") from error
        except UserError as error:
            raise SnapshotError(f"{self.folder}: {error}") from error

    @cached_property
    def backbone(self) -> Backbone:
        """The stored backbone; of whole networks, the federated one's.

        Raises:
            SnapshotError: it is damaged, or not the one the heads were trained on.
        """
        if self.whole:
            return self._group(BASE, self.state(BASE)).backbone
        try:
            backbone = read(self.folder)
        except UserError:
            raise
        except Exception as error:  # as in `head`
            kind = type(error).__name__
            raise SnapshotError(f"{self.folder}: the backbone is damaged ({kind}).") from error
        if backbone.sha256 != self.config["backbone"]["sha256"]:
            raise SnapshotError(f"{self.folder}: the backbone is not the one the heads belong to.")
        return backbone

    def state(self, model: str) -> State:
        """One model's whole network, FP32, under the names of torchvision's resnet18.

        Raises:
            SnapshotError: as `backbone` and `head`.
        """
        if self.whole:
            return read_network(self.folder, self.config, model)
        return self.backbone.state | self.head(model)

    def head(self, model: str) -> dict[str, Tensor]:
        """One model's `fc.weight` [2, 512] and `fc.bias` [2], FP32.

        Raises:
            SnapshotError: the file holds something else, or belongs to another backbone.
        """
        file = self.config["models"][model]["file"]
        where = f"{self.folder}: the head of {model} ({printable(file)})"
        try:
            stored, metadata = read_tensors(self.folder / file)
            head = {name: tensor.float() for name, tensor in stored.items()}
        # Whatever the file holds: safetensors, JSON and torch each have errors of their own.
        except Exception as error:
            kind = type(error.__cause__ or error).__name__
            raise SnapshotError(f"{where} is damaged ({kind}).") from error
        shapes = {name: list(tensor.shape) for name, tensor in head.items()}
        if shapes != {"fc.weight": [len(CLASSES), WIDTH], "fc.bias": [len(CLASSES)]}:
            raise SnapshotError(f"{where} has the shapes {printable(shapes)}.")
        fractions = all(tensor.is_floating_point() for tensor in stored.values())
        # As it is used: what is finite in 64 bits may not be in 32, and 8 bits can't be asked.
        if not fractions or not all(torch.isfinite(tensor).all() for tensor in head.values()):
            raise SnapshotError(f"{where} holds numbers that are not finite fractions.")
        try:
            belongs = json.loads(metadata["backbone"])["sha256"]
        except (ValueError, KeyError, TypeError, RecursionError):
            belongs = None
        if belongs != self.config["backbone"]["sha256"]:
            raise SnapshotError(f"{where} belongs to another backbone than {CONFIG} tells.")
        return head

    def heads(self) -> Heads:
        """All models' heads, in the order of `models`."""
        heads = [self.head(model) for model in self.models]
        return Heads(
            torch.stack([h["fc.weight"] for h in heads]), torch.stack([h["fc.bias"] for h in heads])
        )

    @property
    def groups(self) -> Iterator[ModelGroup]:
        """All models in one group, for they share the backbone; or whole networks, one by one.

        A network is read when it is asked for: seven at once take 300 MB.

        Raises:
            SnapshotError: as `backbone` and `head`.
        """
        if not self.whole:
            yield ModelGroup(self.models, self.backbone, self.heads())
            return
        for model, network in read_networks(self.folder, self.config):
            yield self._group(model, network)

    def _group(self, model: str, network: State) -> ModelGroup:
        """A whole network as a backbone of its own and one head."""
        head = Heads(network["fc.weight"][None], network["fc.bias"][None])
        trunk = {name: tensor for name, tensor in network.items() if not name.startswith("fc.")}
        origin = {"id": model, "source": f"the network {model}"}
        size = self.config["networks"]["size"]
        return ModelGroup([model], Backbone(trunk, origin, rounded=False, size=size), head)

    @property
    def examples(self) -> list[dict[str, str]]:
        """What can be clicked: `file` (in examples/), `label`, `source`, `licence`.

        Raises:
            SnapshotError: examples.json is not that, or names a file that is not vouched for.
        """
        if EXAMPLES not in self.config["files"]:
            return []
        try:
            listing = read_json(self.folder / EXAMPLES)
            entries = [{key: str(entry[key]) for key in EXAMPLE} for entry in listing["examples"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SnapshotError(f"{self.folder}: {EXAMPLES} is damaged.") from error
        for entry in entries:
            listed = f"examples/{entry['file']}" in self.config["files"]
            if not listed or entry["label"] not in CLASSES:
                raise SnapshotError(
                    f"{self.folder}: {EXAMPLES} names what is not there: {printable(entry)}."
                )
        return entries


def write_head(path: Path, heads: Heads, backbone: Backbone) -> None:
    """Write one head (H = 1); the file's metadata names the backbone it belongs to."""
    from safetensors.torch import save_file

    tensors = {"fc.weight": heads.weight[0].contiguous(), "fc.bias": heads.bias[0].contiguous()}
    # One entry: safetensors writes several in an order of chance, and a checkpoint's bytes count.
    belongs = json.dumps({"id": backbone.id, "sha256": backbone.sha256})
    save_file(tensors, path, {"backbone": belongs})

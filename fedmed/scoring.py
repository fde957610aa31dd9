"""Scores of a run's models, as the report's `protocols`, `rounds` and `communication`."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from torch import Tensor

import fedmed
from fedmed.backbones.backbone import Backbone
from fedmed.data.cohort import Xray, labels, patients
from fedmed.evaluation import compare, curves, evaluate
from fedmed.federated.ledger import full_model_bytes, summary
from fedmed.federated.state import State
from fedmed.shown import shown
from fedmed.snapshot import model_file
from fedmed.training.heads import Heads, probabilities


@dataclass(frozen=True)
class Protocol:
    """Images that models are scored on, and where they come from."""

    description: str
    xrays: Sequence[Xray]
    features: Tensor  # [n, F], clean views

    def probabilities(self, heads: Heads) -> np.ndarray:
        """P(PNEUMONIA) [H, n] under each of H heads."""
        return probabilities(heads, self.features).numpy()

    def score(self, heads: Heads, names: Sequence[str]) -> dict[str, Any]:
        """METRICS of each of H heads, by name."""
        truth, of_whom = np.array(labels(self.xrays)), patients(self.xrays)
        found = evaluate(self.probabilities(heads), truth, of_whom)
        return dict(zip(names, found, strict=True))

    def compare(self, first: Heads, second: Heads) -> dict[str, Any]:
        """The federated head minus the central one, paired."""
        truth, of_whom = np.array(labels(self.xrays)), patients(self.xrays)
        scores = [self.probabilities(heads)[0] for heads in (first, second)]
        return compare(scores[0], scores[1], truth, of_whom)

    def report(self, heads: Heads, names: Sequence[str]) -> dict[str, Any]:
        """This protocol's entry in the report, with curves of the models that are shown."""
        models = self.score(heads, names)
        scores = dict(zip(names, self.probabilities(heads), strict=True))
        for name in shown(names):
            models[name] |= curves(scores[name], np.array(labels(self.xrays)))
        return {
            "n": len(self.xrays),
            "patients": len(set(patients(self.xrays))),
            "description": self.description,
            "models": models,
        }


def rounds(federation: State, validation: Protocol) -> list[dict[str, Any]]:
    """The global head after each round on validation, and the bytes of that round."""
    numbers = [str(number) for number in range(1, federation.round + 1)]
    scores = validation.score(Heads.of(federation.models), numbers)
    ledger = federation.ledger
    return [
        {"round": int(number), "validation": found, "bytes_up": up, "bytes_down": down}
        for (number, found), up, down in zip(scores.items(), ledger.up, ledger.down, strict=True)
    ]


def communication(
    federations: Mapping[str, State],
    sent: str,
    backbone: Backbone,
    protocols: Mapping[str, Protocol],
) -> dict[str, Any]:
    """Bytes of every wire format, measured, and what its federated model scores."""
    head = Heads.of(federations[sent].model)
    whole = {**backbone.state, "fc.weight": head.weight[0], "fc.bias": head.bias[0]}
    ledgers = {wire: state.ledger for wire, state in federations.items()}
    formats = summary(ledgers, full_model_bytes(whole))
    for wire, state in federations.items():
        formats[wire]["metrics"] = {
            name: protocol.score(Heads.of(state.model), [wire])[wire]
            for name, protocol in protocols.items()
        }
    return {
        "sent": sent,
        "rounds": federations[sent].round,
        "hospitals": len(federations[sent].ledger.up[0]),
        "formats": formats,
    }


def model_entries(names: Sequence[str], results: Mapping[str, Any]) -> dict[str, Any]:
    """config.json's `models`: file, title, threshold and what each model was trained on."""
    mixes = {site["name"]: site["images"] for site in results["partition"]["hospitals"]}
    everything = results["data"]["training"]["images"]
    scores = results["protocols"]["validation"]["models"]
    return {
        name: {
            "file": model_file(name),
            "title": name.replace("_", " ").capitalize(),
            "threshold": scores[name]["threshold"],
            "training": mixes.get(name, everything),
        }
        for name in names
    }


def versions() -> dict[str, str]:
    """What the run was made with."""
    libraries = ("torch", "torchvision", "numpy", "pillow", "scikit-learn", "safetensors")
    return {
        "fedmed": fedmed.__version__,
        "python": platform.python_version(),
        **{name: version(name) for name in libraries},
    }

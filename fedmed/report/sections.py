"""Scores of a run's models, as the report's `protocols`, `rounds` and `communication`."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

import fedmed
from fedmed.data.cohort import labels, patients
from fedmed.evaluation.curves import curves
from fedmed.evaluation.evaluation_set import EvaluationSet
from fedmed.evaluation.shifted import PAIRS, SwappedValidation
from fedmed.federated.ledger import summary
from fedmed.federated.state import State
from fedmed.report.highlights import displayed_models
from fedmed.training.heads import Heads


def protocol(evaluation_set: EvaluationSet, heads: Heads, names: Sequence[str]) -> dict[str, Any]:
    """The entry of a protocol: H heads scored, with curves of the models that are shown."""
    models = evaluation_set.score(heads, names)
    scores = dict(zip(names, evaluation_set.probabilities(heads), strict=True))
    for name in displayed_models(names):
        models[name] |= curves(scores[name], np.array(labels(evaluation_set.xrays)))
    return {
        "n": len(evaluation_set.xrays),
        "patients": len(set(patients(evaluation_set.xrays))),
        "description": evaluation_set.description,
        "models": models,
    }


def shifted(validation: SwappedValidation, heads: Heads, names: Sequence[str]) -> dict[str, Any]:
    """The entry of swapped validation; models that are shown also tell each pair."""
    models = validation.score(heads, names)
    for name, scores in zip(names, validation.probabilities(heads), strict=True):
        if name in displayed_models(names):
            models[name]["pairs"] = validation.by_pair(scores)
    return {
        "n": len(validation.xrays),
        "patients": len(set(patients(validation.xrays))),
        "description": validation.description,
        "pairs": {name: list(pair) for name, pair in PAIRS.items()},
        "models": models,
    }


def rounds(federation: State, validation: EvaluationSet) -> list[dict[str, Any]]:
    """The global head after each round on validation, and the bytes of that round."""
    numbers = [str(number) for number in range(1, federation.round + 1)]
    scores = validation.score(Heads.of(federation.models), numbers)
    ledger = federation.ledger
    return [
        {"round": int(number), "validation": metrics, "bytes_up": up, "bytes_down": down}
        for (number, metrics), up, down in zip(scores.items(), ledger.up, ledger.down, strict=True)
    ]


def communication(
    federations: Mapping[str, State],
    sent: str,
    whole_model: int,
    protocols: Mapping[str, EvaluationSet],
    unfinished: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Bytes of every update format, measured, and what its federated model scores.

    `whole_model` is what one update of a whole network would take in FP32, in bytes. `unfinished`
    says why there is no federation of a format that was only to be compared.
    """
    ledgers = {wire: state.ledger for wire, state in federations.items()}
    formats = summary(ledgers, whole_model)
    for wire, state in federations.items():
        formats[wire]["metrics"] = {
            name: protocol.score(Heads.of(state.model), [wire])[wire]
            for name, protocol in protocols.items()
        }
    lacking = {"unfinished": dict(unfinished)} if unfinished else {}
    return lacking | {
        "sent": sent,
        "rounds": federations[sent].round,
        "hospitals": len(federations[sent].ledger.up[0]),
        "formats": formats,
    }


def versions() -> dict[str, str]:
    """What the run was made with."""
    libraries = ("torch", "torchvision", "numpy", "pillow", "scikit-learn", "safetensors")
    return {
        "fedmed": fedmed.__version__,
        "python": platform.python_version(),
        **{name: version(name) for name in libraries},
    }

"""Scores of a run's models, as the report's `protocols`, `rounds` and `communication`."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

import fedmed
from fedmed.data.cohort import labels, patients
from fedmed.evaluation import calibration
from fedmed.evaluation.curves import curves
from fedmed.evaluation.evaluation_set import EvaluationSet
from fedmed.evaluation.metrics import MetricName
from fedmed.evaluation.shifted import PAIRS, SwappedValidation
from fedmed.federated.ledger import TITLES, summary
from fedmed.federated.state import State
from fedmed.report.highlights import displayed_models
from fedmed.training.heads import Heads, stack


def protocol(
    evaluation_set: EvaluationSet, heads: Heads, names: Sequence[str], temperatures: np.ndarray
) -> dict[str, Any]:
    """The entry of a protocol: H heads scored, with curves of the models that are shown.

    `temperatures` [H] are those of `temperatures`.
    """
    models = evaluation_set.score(heads, names)
    found, truth = evaluation_set.probabilities(heads), np.array(labels(evaluation_set.xrays))
    scores = dict(zip(names, found, strict=True))
    after = dict(zip(names, calibration.calibrated(found, temperatures), strict=True))
    for name in displayed_models(names):
        models[name] |= curves(scores[name], truth)
        models[name]["calibrated"] = calibration.calibration_curve(after[name], truth)
    return {
        "n": len(evaluation_set.xrays),
        "patients": len(set(patients(evaluation_set.xrays))),
        "description": evaluation_set.description,
        "models": models,
    }


def temperatures(validation: EvaluationSet, heads: Heads) -> np.ndarray:
    """The temperature [H] of each of H heads, fitted on validation."""
    return calibration.fit_temperatures(
        validation.probabilities(heads), np.array(labels(validation.xrays))
    )


def reliability(
    temperatures: np.ndarray,
    protocols: Mapping[str, EvaluationSet],
    heads: Heads,
    names: Sequence[str],
) -> dict[str, Any]:
    """The entry of temperatures [H] fitted on validation, with reliability before and after."""
    models: dict[str, dict[str, Any]] = {
        name: {"temperature": float(temperature)}
        for name, temperature in zip(names, temperatures, strict=True)
    }
    for protocol, images in protocols.items():
        found, truth = images.probabilities(heads), np.array(labels(images.xrays))
        after = calibration.calibrated(found, temperatures)
        for row, name in enumerate(names):
            models[name][protocol] = {
                "before": calibration.reliability(found[row], truth),
                "after": calibration.reliability(after[row], truth),
            }
    return {"method": "temperature", "fitted_on": "validation", "models": models}


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
    titles: Mapping[str, str] = TITLES,
    unfinished: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Bytes of every update format, measured, and what its federated model scores.

    `whole_model` is what one update of a whole network would take in FP32, in bytes. `unfinished`
    says why there is no federation of a format that was only to be compared.
    """
    ledgers = {wire: state.ledger for wire, state in federations.items()}
    formats = summary(ledgers, whole_model, titles)
    for wire, state in federations.items():
        formats[wire]["metrics"] = {
            name: protocol.score(Heads.of(state.model), [wire])[wire]
            for name, protocol in protocols.items()
        }
    lacking = {"unfinished": dict(unfinished)} if unfinished else {}
    return lacking | {
        "sent": sent,
        "rounds": federations[sent].round,
        "hospitals": federations[sent].ledger.hospitals,
        "formats": formats,
    }


def price(
    evaluation_set: EvaluationSet, private: Heads, unprotected: Heads
) -> dict[str, dict[str, Any]]:
    """What privacy costs on one protocol: each one's scores, and their paired differences.

    `unprotected` is what the same hospitals get without privacy; both are one head.
    """
    compared = evaluation_set.compare(private, unprotected)
    names = ("private", "unprotected")
    scores = evaluation_set.score(stack([private, unprotected]), names)
    metrics: tuple[MetricName, ...] = ("auc", "balanced_accuracy")
    return {
        metric: {name: scores[name][metric] for name in names}
        | {"difference": compared[f"{metric}_difference"]}
        for metric in metrics
    }


def versions() -> dict[str, str]:
    """What the run was made with: of the libraries, those that are installed where it ran."""
    found = {"fedmed": fedmed.__version__, "python": platform.python_version()}
    for name in ("torch", "torchvision", "numpy", "pillow", "scikit-learn", "safetensors"):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found

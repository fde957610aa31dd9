"""What a comparison shows, in words: who says what, and what the training mixes have to do with it.

Every word follows from the prediction and the configuration; nothing is known about the patient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fedmed.inference.predictor import Prediction
from fedmed.page.elements import listed, name_of, number
from fedmed.report.highlights import MANY

TOGETHER = ("central", "federated")


def headline(prediction: Prediction, config: Mapping[str, Any]) -> str:
    """Who says what, as one sentence of plain text."""
    labels = prediction.labels
    if len(labels) == 1:
        (model,) = labels
        return f"{name_of(config, model)} says {labels[model]}."
    if not prediction.agreement["dissenting"]:
        return f"All {number(len(labels))} models say {prediction.agreement['label']}."
    together = [model for model in TOGETHER if model in labels]
    hospitals = [model for model in labels if model not in TOGETHER]
    label = labels[together[0]]
    if len({labels[model] for model in together}) > 1:
        federated = labels["federated"]
        siding = sum(labels[model] == federated for model in hospitals)
        return (
            f"Central says {label}, federated says {federated}; "
            f"{siding:,} of {len(hospitals):,} hospitals side with federated."
        )
    others = [model for model in hospitals if labels[model] != label]
    dissent = _says([name_of(config, model) for model in others], labels[others[0]])
    if len(hospitals) > MANY:
        dissent = f"{len(others):,} of {len(hospitals):,} hospitals say {labels[others[0]]}"
    return f"{_says(['Central', *together[1:]], label)}; {dissent}."


def reason(prediction: Prediction, config: Mapping[str, Any]) -> str:
    """How the hospitals' labels go with what they were trained on; empty where it is unknown."""
    shares = {
        model: _pneumonia_share(about["training"])
        for model, about in config["models"].items()
        if model not in TOGETHER and about.get("training")
    }
    if len(shares) < 2:
        return ""
    positive = [share for model, share in shares.items() if prediction.labels[model] == "PNEUMONIA"]
    negative = [share for model, share in shares.items() if prediction.labels[model] == "NORMAL"]
    if not (positive and negative):
        return (
            f"PNEUMONIA made up {_span(list(shares.values()))} of the hospitals' training images; "
            "on this X-ray they agree all the same."
        )
    facts = (
        f"PNEUMONIA made up {_span(positive)} of the training images of those that say PNEUMONIA, "
        f"and {_span(negative)} of those that say NORMAL"
    )
    if min(positive) > max(negative):
        if min(positive) > 0.5 > max(negative):
            return f"{facts}: each side leans the way its own patients did."
        return f"{facts}: those with more of it say PNEUMONIA."
    if _mean(positive) > _mean(negative):
        return f"{facts}: the mix explains part of the split."
    return f"{facts}: the mix does not explain the split."


def against(prediction: Prediction, expected: str) -> str:
    """How many models give the label that came with an example."""
    right = sum(label == expected for label in prediction.labels.values())
    return f"{right:,} of {len(prediction.labels):,} models say so"


def _says(names: Sequence[str], label: str) -> str:
    return f"{listed(names)} {'say' if len(names) > 1 else 'says'} {label}"


def _pneumonia_share(counts: Mapping[str, int]) -> float:
    return counts["PNEUMONIA"] / (sum(counts.values()) or 1)


def _span(shares: Sequence[float]) -> str:
    low, high = round(100 * min(shares)), round(100 * max(shares))
    span = f"{low}" if low == high else f"{low} to {high}"
    return f"{span}\N{NO-BREAK SPACE}%"


def _mean(shares: Sequence[float]) -> float:
    return sum(shares) / len(shares)

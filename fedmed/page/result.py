"""A prediction in plain JSON types: what /predict returns, and what a visitor saves."""

from __future__ import annotations

from typing import Any

import numpy as np

from fedmed.inference.predictor import Prediction


def as_json(
    prediction: Prediction, snapshot_label: str, *, heat_maps: bool = False
) -> dict[str, Any]:
    """Every model's label, probabilities and threshold, the agreement, the warnings
    (each says that the models cannot judge the picture) and notes of what was done to it.

    Args:
        heat_maps: Add `heat_map` to each model: rows of a grid over the picture, in log-odds, above
            0 towards PNEUMONIA. Their mean is the model's log-odds before it is calibrated.
    """
    models: dict[str, dict[str, Any]] = {
        model: {
            "label": prediction.labels[model],
            "probabilities": probabilities,
            "threshold": prediction.thresholds[model],
        }
        for model, probabilities in prediction.probabilities.items()
    }
    if heat_maps:
        for model, said in models.items():
            said["heat_map"] = np.round(prediction.evidence[model], 4).astype(float).tolist()
    return {
        "models": models,
        "agreement": prediction.agreement,
        "warnings": prediction.warnings,
        "notes": prediction.notes,
        "snapshot": snapshot_label,
    }

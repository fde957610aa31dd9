"""Readings made up for tests: seven models that say what a test wants."""

from __future__ import annotations

from typing import Any

import numpy as np

from fedmed.inference.predictor import Prediction, agreement
from tests.support.reports import MODELS

# Hospital 1 sees nearly only pneumonia, hospital 5 mostly healthy children.
MIXES = {"hospital_1": 95, "hospital_2": 80, "hospital_3": 60, "hospital_4": 40, "hospital_5": 20}


def config(models: tuple[str, ...] = MODELS) -> dict[str, Any]:
    """A configuration whose hospitals were trained on MIXES percent of PNEUMONIA."""
    return {
        "models": {
            model: {
                "title": model.replace("_", " ").capitalize(),
                "training": {
                    "NORMAL": 100 - MIXES.get(model, 60),
                    "PNEUMONIA": MIXES.get(model, 60),
                },
            }
            for model in models
        }
    }


def prediction(
    ill: tuple[str, ...], models: tuple[str, ...] = MODELS, warnings: tuple[str, ...] = ()
) -> Prediction:
    """A prediction in which the models of `ill` say PNEUMONIA and the others NORMAL."""
    share = {
        model: 0.9 - place % 30 / 100 if model in ill else 0.1 + place % 30 / 100
        for place, model in enumerate(models)
    }
    labels = {model: "PNEUMONIA" if model in ill else "NORMAL" for model in models}
    generator = np.random.default_rng(0)
    return Prediction(
        probabilities={m: {"NORMAL": 1 - p, "PNEUMONIA": p} for m, p in share.items()},
        labels=labels,
        thresholds=dict.fromkeys(models, 0.5),
        evidence={
            m: generator.normal(np.log(p / (1 - p)), 1, (7, 7)).astype(np.float32)
            for m, p in share.items()
        },
        agreement=agreement(labels),
        warnings=list(warnings),
        pixels=np.zeros((224, 224), np.uint8),
    )

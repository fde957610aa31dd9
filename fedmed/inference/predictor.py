"""An X-ray in, every model's answer out: probabilities, labels, evidence, agreement.

One pass through the frozen backbone serves all models that share it, heat maps included: a head
over an average of feature maps is an average of the head over every place in them. X-rays that
arrive together share that pass too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from torch import Tensor

from fedmed.backbones.backbone import pool
from fedmed.backbones.engine import Pass
from fedmed.imaging.augmentation import CLEAN, render
from fedmed.imaging.preprocessing import DecodedXray, resize, to_input, to_pixels
from fedmed.inference import out_of_distribution, views
from fedmed.inference.batching import Batched
from fedmed.inference.heatmaps import evidence_maps
from fedmed.inference.warnings import Known, warnings
from fedmed.snapshot.model_group import Models
from fedmed.task import CLASSES
from fedmed.training.heads import Heads

WATCHED = "federated"
MOST = 16  # X-rays in one pass; more at once gain no speed


@dataclass(frozen=True)
class Prediction:
    """What every model says about one X-ray; the dictionaries are keyed by model."""

    probabilities: dict[str, dict[str, float]]  # of each class; they sum to 1; calibrated if known
    labels: dict[str, str]
    thresholds: dict[str, float]  # PNEUMONIA from this probability on, calibrated alike
    evidence: dict[str, np.ndarray]  # float32 [h, w], see `evidence_maps`
    agreement: dict[str, Any]
    warnings: list[str]  # each says that the picture is none that the models can judge
    pixels: np.ndarray  # uint8 [224, 224]: what the backbone saw
    notes: list[str] = field(default_factory=list)  # what was done to the picture on its way


class Others(NamedTuple):
    """Heads on the watched backbone that answer in place of the stored models', at 0.5."""

    models: list[str]
    heads: Heads


class _Ready(NamedTuple):
    """Models on one backbone, which is ready to run."""

    models: list[str]
    heads: Heads
    size: int  # the side of its input
    feature_maps: Pass


class Predictor:
    """All models of what is shown, ready to predict.

    Threads may share it, and X-rays that they bring at the same time go through the backbone
    together. Neither who else brings one nor how many changes an answer, but for rounding in the
    backbone's last bits where its engine works on several images differently than on one.

    Raises:
        UserError: a part of the snapshot is not what it should be.
    """

    def __init__(self, shown: Models) -> None:
        # In no circle with what it works with: with its last caller, all of it leaves memory.
        self._batched = Batched(_Readers(shown).predict_together, MOST)

    def predict(self, xray: DecodedXray, others: Others | None = None) -> Prediction:
        """Every model's answer for a decoded X-ray, or that of `others`."""
        return self._batched((xray, others))

    def predict_image(self, image: Image.Image, *, colour: float = 0.0) -> Prediction:
        """The same for a grey image (mode "L", any size) of some `tint.colourfulness`."""
        return self.predict(DecodedXray(to_pixels(image), colour))


class _Readers:
    """The models and what belongs to them."""

    def __init__(self, shown: Models) -> None:
        self._order = shown.models
        # Read one by one, and of each only what a pass takes: whole networks are large.
        self._groups = [
            _Ready(group.models, group.heads, group.backbone.size, group.backbone.ready())
            for group in shown.groups
        ]
        self._known = Known(out_of_distribution.find(shown.folder), views.find(shown.folder))
        # Statistics of features are of this model's network, where there are several.
        self._watched = next(
            (place for place, group in enumerate(self._groups) if WATCHED in group.models), 0
        )
        about = {model: shown.config["models"][model] for model in shown.models}
        self._temperatures = {m: float(one.get("temperature", 1)) for m, one in about.items()}
        self._thresholds = {
            model: _at(float(one["threshold"]["value"]), self._temperatures[model])
            for model, one in about.items()
        }

    def predict_together(self, asked: list[tuple[DecodedXray, Others | None]]) -> list[Prediction]:
        """One pass for all of them. What torch computes stays on the thread that runs this."""
        xrays = [xray for xray, _ in asked]
        pixels = np.stack([xray.pixels for xray in xrays])
        inputs = to_input(render(CLEAN, pixels, [""] * len(xrays)))
        sized = {size: resize(inputs, size) for size in {group.size for group in self._groups}}
        passed = [(group, group.feature_maps(sized[group.size])) for group in self._groups]
        features = pool(passed[self._watched][1])
        return [
            self._prediction(
                xray,
                [(group.models, group.heads, maps[place]) for group, maps in passed]
                if others is None
                else [(*others, passed[self._watched][1][place])],
                features[place],
                stored=others is None,
            )
            for place, (xray, others) in enumerate(asked)
        ]

    def _prediction(
        self,
        xray: DecodedXray,
        passed: list[tuple[list[str], Heads, Tensor]],
        features: Tensor,
        *,
        stored: bool,
    ) -> Prediction:
        """`passed` holds the feature maps [512, h, w] of each group, `features` [512]."""
        maps_by_model: dict[str, np.ndarray] = {}
        for models, heads, maps in passed:
            maps_by_model.update(zip(models, evidence_maps(heads, maps).numpy(), strict=True))
        order = self._order if stored else list(maps_by_model)
        temperatures = self._temperatures if stored else dict.fromkeys(order, 1.0)
        thresholds = self._thresholds if stored else dict.fromkeys(order, 0.5)
        evidence = {model: maps_by_model[model] for model in order}
        probabilities = {
            model: _probabilities(seen.mean() / temperatures[model])
            for model, seen in evidence.items()
        }
        labels: dict[str, str] = {
            model: CLASSES[int(said["PNEUMONIA"] >= thresholds[model])]
            for model, said in probabilities.items()
        }
        return Prediction(
            probabilities=probabilities,
            labels=labels,
            thresholds=dict(thresholds),
            evidence={model: seen.astype(np.float32) for model, seen in evidence.items()},
            agreement=agreement(labels),
            warnings=warnings(xray.pixels, features, self._known, xray.colour),
            notes=list(xray.notes),
            pixels=xray.pixels,
        )


def agreement(labels: dict[str, str]) -> dict[str, Any]:
    """The verdict of most models, how many share it, of how many, and who dissents.

    Where both verdicts have as many models, the first model's stands.
    """
    verdicts = list(labels.values())
    # max() keeps the first of equals, and the first model's verdict is listed first.
    majority = max(dict.fromkeys(verdicts), key=verdicts.count)
    dissenting = [model for model, label in labels.items() if label != majority]
    return {
        "label": majority,
        "agree": len(labels) - len(dissenting),
        "of": len(labels),
        "dissenting": dissenting,
    }


def _at(threshold: float, temperature: float) -> float:
    """A threshold as it is once log-odds are divided by the temperature: no label changes."""
    if temperature == 1 or threshold in (0, 0.5, 1):
        return threshold
    return float(1 / (1 + (1 / threshold - 1) ** (1 / temperature)))


def _probabilities(logit: float) -> dict[str, float]:
    # Each class by itself, so that neither is a difference of nearly equal numbers.
    values = 1 / (1 + np.exp([logit, -logit]))
    return {name: float(value) for name, value in zip(CLASSES, values, strict=True)}

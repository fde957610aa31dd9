"""An X-ray in, every model's answer out: probabilities, verdicts, evidence, agreement.

One pass through the frozen backbone serves all models that share it, heat maps included: a head
over an average of feature maps is an average of the head over every place in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fedmed import outliers, uploads
from fedmed.backbone import Backbone, pool
from fedmed.facts import CLASSES
from fedmed.preprocessing import CLEAN, render, to_input, to_pixels
from fedmed.snapshot import Snapshot
from fedmed.training import Heads

if TYPE_CHECKING:
    from fedmed.original import Original


class Group(NamedTuple):
    """Models whose heads read the same backbone."""

    models: list[str]
    backbone: Backbone
    heads: Heads


@dataclass(frozen=True)
class Reading:
    """What every model says about one X-ray; the dictionaries are keyed by model."""

    probabilities: dict[str, dict[str, float]]  # of each class; they sum to 1
    labels: dict[str, str]
    thresholds: dict[str, float]  # PNEUMONIA from this probability on
    evidence: dict[str, np.ndarray]  # float32 [7, 7], see `evidence_maps`
    agreement: dict[str, Any]
    warnings: list[str]
    pixels: np.ndarray  # uint8 [224, 224]: what the backbone saw


class Panel:
    """All models of what is shown, ready to read X-rays. Threads may share it.

    Raises:
        UserError: a part of the snapshot is not what it should be.
    """

    def __init__(self, snapshot: Snapshot | Original) -> None:
        self._order = snapshot.models
        self._typical: outliers.Typical | None = None
        if isinstance(snapshot, Snapshot):
            self._groups = [Group(snapshot.models, snapshot.backbone, snapshot.heads())]
            if (snapshot.folder / outliers.FILE).exists():
                self._typical = outliers.Typical.load(snapshot.folder / outliers.FILE)
        else:
            self._groups = snapshot.groups
        self._thresholds = {
            model: float(snapshot.config["models"][model]["threshold"]["value"])
            for model in snapshot.models
        }

    def read_file(self, data: bytes) -> Reading:
        """Read an encoded image: JPEG, PNG or DICOM.

        Raises:
            ImageError: it can't be read as a radiograph.
        """
        image, colour = uploads.read(data)
        return self.read(image, colour=colour)

    def read(self, image: Image.Image, *, colour: float = 0.0) -> Reading:
        """Read a grey image (mode "L", any size); `colour` is its `imaging.colourfulness`."""
        pixels = np.array(to_pixels(image))
        inputs = to_input(render(CLEAN, pixels[None], [""]))
        evidence: dict[str, np.ndarray] = {}
        for group in self._groups:
            maps = group.backbone.feature_maps(inputs)
            found = evidence_maps(group.heads, maps[0]).numpy()
            evidence.update(zip(group.models, found, strict=True))
        features = pool(maps)[0]  # of the only group, where there are statistics to hold them to
        evidence = {model: evidence[model] for model in self._order}
        probabilities = {model: _probabilities(found.mean()) for model, found in evidence.items()}
        labels = {
            model: CLASSES[int(found["PNEUMONIA"] >= self._thresholds[model])]
            for model, found in probabilities.items()
        }
        return Reading(
            probabilities=probabilities,
            labels=labels,
            thresholds=dict(self._thresholds),
            evidence={model: found.astype(np.float32) for model, found in evidence.items()},
            agreement=agreement(labels),
            warnings=outliers.warnings(pixels, features, self._typical, colour),
            pixels=pixels,
        )


@torch.inference_mode()
def evidence_maps(heads: Heads, maps: Tensor) -> Tensor:
    """Feature maps [512, 7, 7] to class activation maps float64 [H, 7, 7], in logit units.

    The mean of a map is its head's logit of PNEUMONIA minus that of NORMAL, exactly.
    """
    weight = (heads.weight[:, 1] - heads.weight[:, 0]).double()
    bias = (heads.bias[:, 1] - heads.bias[:, 0]).double()
    return torch.einsum("hf,fyx->hyx", weight, maps.double()) + bias[:, None, None]


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


def as_api(reading: Reading, snapshot_label: str) -> dict[str, Any]:
    """A reading as `/predict` returns it, in plain JSON types."""
    return {
        "models": {
            model: {"label": reading.labels[model], "probabilities": probabilities}
            for model, probabilities in reading.probabilities.items()
        },
        "agreement": reading.agreement,
        "warnings": reading.warnings,
        "snapshot": snapshot_label,
    }


def _probabilities(logit: float) -> dict[str, float]:
    # Each class by itself, so that neither is a difference of nearly equal numbers.
    values = 1 / (1 + np.exp([logit, -logit]))
    return {name: float(value) for name, value in zip(CLASSES, values, strict=True)}

"""An X-ray in, every model's answer out: probabilities, verdicts, evidence, agreement.

One pass through the frozen backbone serves all models that share it, heat maps included: a head
over an average of feature maps is an average of the head over every place in them. X-rays that
arrive together share that pass too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from torch import Tensor

from fedmed.backbones.backbone import pool
from fedmed.imaging.augmentation import CLEAN, render
from fedmed.imaging.preprocessing import DecodedXray, to_input, to_pixels
from fedmed.inference import out_of_distribution
from fedmed.inference.batching import Batched
from fedmed.inference.heatmaps import evidence_maps
from fedmed.snapshot.model_group import Group
from fedmed.snapshot.reader import Snapshot
from fedmed.task import CLASSES
from fedmed.uploads.decode import decode_upload

if TYPE_CHECKING:
    from fedmed.snapshot.original import Original

MOST = 16  # X-rays in one pass; more at once gain no speed


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
    """All models of what is shown, ready to read X-rays.

    Threads may share it, and X-rays that they read at the same time go through the backbone
    together. Neither who else is read nor how many changes an answer, but for rounding in the
    backbone's last bits where its engine works on several images differently than on one.

    Raises:
        UserError: a part of the snapshot is not what it should be.
    """

    def __init__(self, snapshot: Snapshot | Original) -> None:
        self._order = snapshot.models
        self._typical: out_of_distribution.Typical | None = None
        if isinstance(snapshot, Snapshot):
            self._groups = [Group(snapshot.models, snapshot.backbone, snapshot.heads())]
            if (snapshot.folder / out_of_distribution.FILE).exists():
                self._typical = out_of_distribution.Typical.load(
                    snapshot.folder / out_of_distribution.FILE
                )
        else:
            self._groups = snapshot.groups
        self._thresholds = {
            model: float(snapshot.config["models"][model]["threshold"]["value"])
            for model in snapshot.models
        }
        self._batched = Batched(self._read_together, MOST)

    def read_film(self, film: DecodedXray) -> Reading:
        """Read a film."""
        return self._batched(film)

    def read_file(self, data: bytes, sender: str = "") -> Reading:
        """Read an encoded image: JPEG, PNG or DICOM. `sender` as in `film.decode_upload`.

        Raises:
            ImageError: it can't be read as a radiograph.
        """
        return self.read_film(decode_upload(data, sender))

    def read(self, image: Image.Image, *, colour: float = 0.0) -> Reading:
        """Read a grey image (mode "L", any size); `colour` is its `imaging.colourfulness`."""
        return self.read_film(DecodedXray(to_pixels(image), colour))

    def _read_together(self, films: list[DecodedXray]) -> list[Reading]:
        """One pass for all of them. What torch computes stays on the thread that runs this."""
        pixels = np.stack([film.pixels for film in films])
        inputs = to_input(render(CLEAN, pixels, [""] * len(films)))
        passed = [(group, group.backbone.feature_maps(inputs)) for group in self._groups]
        # Statistics to hold features to are there only where there is one group.
        features = pool(passed[0][1])
        return [
            self._reading(film, [(group, maps[place]) for group, maps in passed], features[place])
            for place, film in enumerate(films)
        ]

    def _reading(
        self, film: DecodedXray, passed: list[tuple[Group, Tensor]], features: Tensor
    ) -> Reading:
        """`passed` holds the feature maps [512, 7, 7] of each group, `features` [512]."""
        found: dict[str, np.ndarray] = {}
        for group, maps in passed:
            found.update(zip(group.models, evidence_maps(group.heads, maps).numpy(), strict=True))
        evidence = {model: found[model] for model in self._order}
        probabilities = {model: _probabilities(seen.mean()) for model, seen in evidence.items()}
        labels = {
            model: CLASSES[int(said["PNEUMONIA"] >= self._thresholds[model])]
            for model, said in probabilities.items()
        }
        return Reading(
            probabilities=probabilities,
            labels=labels,
            thresholds=dict(self._thresholds),
            evidence={model: seen.astype(np.float32) for model, seen in evidence.items()},
            agreement=agreement(labels),
            warnings=out_of_distribution.warnings(
                film.pixels, features, self._typical, film.colour
            ),
            pixels=film.pixels,
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

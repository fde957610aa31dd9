"""An answer as HTML: one X-ray, every model side by side, and what moved each of them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from fedmed.inference.predictor import Prediction
from fedmed.page import explanation
from fedmed.page.elements import name_of
from fedmed.page.examples import Example, data_uri
from fedmed.page.rendering import render
from fedmed.page.result import as_json
from fedmed.page.standing import Standing, scored_on, standings
from fedmed.report.highlights import displayed_models, note
from fedmed.report.joining import joined
from fedmed.report.machines_report import MachinesReport, told
from fedmed.report.phrases import federated_by
from fedmed.report.schema import Report
from fedmed.task import CLASSES, DISCLAIMER, is_hospital

LONGEST_SIDE = 720  # pixels, of the X-ray that is shown
CENTRAL = "trained on all images in one place"


class ModelAnswer(NamedTuple):
    """What is drawn of one model."""

    key: str
    title: str
    is_hospital: bool
    role: str | None
    label: str
    probability: float  # of PNEUMONIA
    threshold: float
    dissents: bool
    training: dict[str, int] | None  # images of each class
    standings: list[Standing]
    joined: str | None  # what joining changed for a hospital


class Expected(NamedTuple):
    """The label that came with an example, how many models give it, and where it is from."""

    label: str
    tally: str
    source: str


class Crowd(NamedTuple):
    """What all hospitals say, where only some are shown."""

    positive: int
    hospitals: int
    median: float  # of the hospitals' P(PNEUMONIA)
    note: str


@dataclass(frozen=True)
class Answer:
    """What there is to show about one X-ray."""

    image: Image.Image
    prediction: Prediction
    config: Mapping[str, Any]
    report: Report | None
    snapshot: str  # its label
    example: Example | None = None  # where a visitor clicked one
    number: int | None = None  # of that example in the strip
    machines: MachinesReport | None = None  # in place of a report, where there can be none

    def html(self) -> str:
        """The whole answer."""
        prediction, example = self.prediction, self.example
        displayed = displayed_models(prediction.labels)
        width, height = self.image.size
        return render(
            "answer.html",
            number=self.number,
            evidence=self._evidence(displayed),
            warnings=prediction.warnings,
            notes=prediction.notes,
            headline=explanation.headline(prediction, self.config),
            # Nothing about a picture unlike any X-ray is explained by what the hospitals saw.
            reason="" if prediction.warnings else explanation.reason(prediction, self.config),
            models=[self._model(model) for model in displayed],
            joined=bool(self._joined),
            agreement=prediction.agreement,
            expected=example
            and Expected(
                example.label, explanation.against(prediction, example.label), example.source
            ),
            ratio=width / height,
            picture=data_uri(self.image, LONGEST_SIDE),
            crowd=self._crowd(),
            calibrated=all("temperature" in one for one in self.config["models"].values()),
            scored_on=scored_on(self.report),
            counted=told(self.machines) if self.machines else "",
            saved=self._saved(),
            snapshot=self.snapshot,
            disclaimer=DISCLAIMER,
        )

    def _model(self, model: str) -> ModelAnswer:
        prediction = self.prediction
        training = self.config["models"][model].get("training")
        return ModelAnswer(
            key=model,
            title=name_of(self.config, model),
            is_hospital=is_hospital(model),
            role=self._roles.get(model),
            label=prediction.labels[model],
            probability=prediction.probabilities[model]["PNEUMONIA"],
            threshold=prediction.thresholds[model],
            dissents=model in prediction.agreement["dissenting"],
            training={label: training[label] for label in CLASSES} if training else None,
            standings=standings(self.report, model),
            joined=self._joined.get(model),
        )

    @cached_property
    def _roles(self) -> dict[str, str]:
        return {"central": CENTRAL, "federated": federated_by(self.report or self.machines)}

    @cached_property
    def _joined(self) -> dict[str, str]:
        return joined(self.report) if self.report else {}

    def _crowd(self) -> Crowd | None:
        labels, probabilities = self.prediction.labels, self.prediction.probabilities
        which = note(labels)
        if not which:
            return None
        hospitals = [model for model in labels if is_hospital(model)]
        return Crowd(
            positive=sum(labels[model] == "PNEUMONIA" for model in hospitals),
            hospitals=len(hospitals),
            median=float(np.median([probabilities[model]["PNEUMONIA"] for model in hospitals])),
            note=which,
        )

    def _saved(self) -> str:
        """The answer as /predict gives it: a link that needs no request, and nothing kept here."""
        told = json.dumps(as_json(self.prediction, self.snapshot))
        return "data:application/json;base64," + base64.b64encode(told.encode()).decode()

    def _evidence(self, displayed: list[str]) -> str:
        maps = {model: np.round(self.prediction.evidence[model], 3).tolist() for model in displayed}
        return json.dumps(maps, separators=(",", ":"))


def problem(message: str) -> str:
    """What is shown in an answer's place where a file can't be read."""
    return render("problem.html", message=message)

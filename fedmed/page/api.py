"""The app's API, for `gradio_client` and HTTP: /predict, /report and /models."""

from __future__ import annotations

from typing import Any

import gradio as gr

from fedmed.errors import ImageError
from fedmed.inference.loading import Opened
from fedmed.inference.predictor import Prediction
from fedmed.page.launch import PANEL
from fedmed.report.schema import Report
from fedmed.server.clients import sender
from fedmed.uploads.decode import decode_upload


def add(opened: Opened) -> None:
    """Add the three endpoints, inside a `gr.Blocks`. Their names and shapes are stable."""

    def predict(image: bytes, request: gr.Request) -> dict[str, Any]:
        """Read one chest X-ray (JPEG, PNG, DICOM, TIFF, BMP or WebP) with every model."""
        try:
            xray = decode_upload(image or b"", sender(request))
            return as_api(opened.predictor.predict(xray), opened.label)
        except ImageError as error:
            raise gr.Error(str(error), print_exception=False) from error

    def report() -> Report:
        """The stored evaluation.json of the snapshot in use."""
        if opened.snapshot.report is None:
            raise gr.Error("These models came without a report.", print_exception=False)
        return opened.snapshot.report

    def models() -> dict[str, Any]:
        """The models, the backbone and the snapshot in use."""
        return describe(opened)

    image = gr.File(type="binary", visible=False, label="image")
    result = gr.JSON(visible=False, label="result")
    called = gr.Button(visible=False)
    called.click(predict, image, result, api_name="predict", **PANEL)
    called.click(report, None, result, api_name="report")
    called.click(models, None, result, api_name="models")


def describe(opened: Opened) -> dict[str, Any]:
    """What is shown, without the digests of its files."""
    config = opened.snapshot.config
    kept = ("schema_version", "classes", "preprocessing", "backbone", "versions", "seed", "created")
    return {
        "snapshot": {"label": opened.label, "why": opened.why, "problem": opened.problem},
        "models": config["models"],
        **{name: config[name] for name in kept if name in config},
    }


def as_api(prediction: Prediction, snapshot_label: str) -> dict[str, Any]:
    """A prediction as `/predict` returns it, in plain JSON types."""
    return {
        "models": {
            model: {"label": prediction.labels[model], "probabilities": probabilities}
            for model, probabilities in prediction.probabilities.items()
        },
        "agreement": prediction.agreement,
        "warnings": prediction.warnings,
        "snapshot": snapshot_label,
    }

"""The app's API, for `gradio_client` and HTTP: /predict, /report and /models."""

from __future__ import annotations

from typing import Any

import gradio as gr

from fedmed.inference.predictor import Prediction
from fedmed.page.launch import PANEL
from fedmed.page.shown import Snapshots, told
from fedmed.report.schema import Report
from fedmed.server.clients import sender
from fedmed.uploads.decode import decode_upload


def add(snapshots: Snapshots) -> None:
    """Add the three endpoints, inside a `gr.Blocks`. Their names and shapes are stable."""

    # Gradio passes the request by its hint alone; a union with None it would not know.
    def predict(
        image: bytes,
        snapshot: str | None = None,
        request: gr.Request = None,
    ) -> dict[str, Any]:
        """Read one chest X-ray (JPEG, PNG, DICOM, TIFF, BMP or WebP) with every model."""
        with told():
            snapshots.named(snapshot)  # before the work of reading the file
            xray = decode_upload(image or b"", sender(request))
            opened = snapshots.opened(snapshot)
        return as_api(opened.predictor.predict(xray), opened.label)

    def report(snapshot: str | None = None) -> Report:
        """The stored evaluation.json of a snapshot."""
        with told():
            found = snapshots.page(snapshot).report
        if found is None:
            raise gr.Error("These models came without a report.", print_exception=False)
        return found

    def models(snapshot: str | None = None) -> dict[str, Any]:
        """The models, the backbone and the snapshot in use, and the snapshots to choose from."""
        with told():
            return describe(snapshots, snapshot)

    image = gr.File(type="binary", visible=False, label="image")
    name = gr.Textbox(visible=False, label="snapshot")
    result = gr.JSON(visible=False, label="result")
    called = gr.Button(visible=False)
    called.click(predict, [image, name], result, api_name="predict", **PANEL)
    called.click(report, name, result, api_name="report")
    called.click(models, name, result, api_name="models")


def describe(snapshots: Snapshots, name: str | None = None) -> dict[str, Any]:
    """What is shown, without the digests of its files, and what there is to choose from."""
    chosen, shown = snapshots.named(name), snapshots.page(name)
    config = shown.config
    kept = ("schema_version", "classes", "preprocessing", "backbone", "versions", "seed", "created")
    choices = []
    for choice in snapshots.choices:
        drawn = snapshots.drawn(choice)  # only then the Hub has told which commit it is
        label = drawn.label if drawn else choice.label
        choices.append({"name": choice.name, "label": label, "shown": choice is chosen})
    return {
        "snapshot": {"label": shown.label, "why": shown.why, "problem": shown.problem},
        "snapshots": choices,
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
        "notes": prediction.notes,
        "snapshot": snapshot_label,
    }

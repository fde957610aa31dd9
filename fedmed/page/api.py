"""The app's API, for `gradio_client` and HTTP: /predict, /report and /models."""

from __future__ import annotations

from typing import Any

import gradio as gr

from fedmed.page.launch import PANEL
from fedmed.page.result import as_json
from fedmed.page.shown import Snapshots, told
from fedmed.report.machines_report import MachinesReport
from fedmed.report.schema import Report
from fedmed.server.clients import sender
from fedmed.uploads.decode import decode_upload

SAMPLE = "examples/01_normal.png"  # in a checkout, where the code to copy is tried


def sample() -> dict[str, Any]:
    """The X-ray that the code to copy names."""
    name = SAMPLE.rpartition("/")[2]
    meta = {"_type": "gradio.FileData"}
    return {"path": SAMPLE, "url": SAMPLE, "orig_name": name, "meta": meta}


def add(snapshots: Snapshots) -> None:
    """Add the three endpoints, inside a `gr.Blocks`. Their names and shapes are stable."""

    # Gradio passes the request by its hint alone; a union with None it would not know.
    def predict(
        image: bytes,
        snapshot: str | None = None,
        heat_map: bool | None = False,
        request: gr.Request = None,
    ) -> dict[str, Any]:
        """Read one chest X-ray (JPEG, PNG, DICOM, TIFF, BMP or WebP) with every model.

        Args:
            image: The X-ray: a file that is sent, not an address.
            snapshot: Which models, by a name that /models lists; the first if left out.
            heat_map: Whether each model's heat map comes along, as a grid of log-odds.
        """
        with told():
            snapshots.named(snapshot)  # before the work of reading the file
            xray = decode_upload(image or b"", sender(request))
            opened = snapshots.opened(snapshot)
        prediction = opened.predictor.predict(xray)
        return as_json(prediction, opened.label, heat_maps=bool(heat_map))

    def report(snapshot: str | None = None) -> Report | MachinesReport:
        """The stored evaluation.json of a snapshot."""
        with told():
            shown = snapshots.page(snapshot)
        found = shown.report or shown.machines
        if found is None:
            raise gr.Error("These models came without a report.", print_exception=False)
        return found

    def models(snapshot: str | None = None) -> dict[str, Any]:
        """The models, the backbone and the snapshot in use, and the snapshots to choose from."""
        with told():
            return describe(snapshots, snapshot)

    image = gr.File(type="binary", visible=False, label="image")
    # On this one alone: Gradio writes a file beside the code for each component of another class.
    image.example_payload = sample
    image.example_value = lambda: SAMPLE
    names = [choice.name for choice in snapshots.choices]
    # With custom values, so that a name that is not there gets words of our own.
    name = gr.Dropdown(names, value=None, allow_custom_value=True, visible=False, label="snapshot")
    maps = gr.Checkbox(visible=False, label="heat_map")
    result = gr.JSON(visible=False, label="result")
    called = gr.Button(visible=False)
    called.click(predict, [image, name, maps], result, api_name="predict", **PANEL)
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

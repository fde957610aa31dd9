"""The app's server around a function that does nothing: what Gradio itself costs a call."""

from __future__ import annotations

from typing import Any

import gradio as gr

import app  # noqa: F401  (sets what Gradio reads from the environment, as for the app)
from fedmed.inference.predictor import agreement
from fedmed.page import launch
from fedmed.server.guards import guard
from fedmed.uploads.storage import Uploads, folder_of_its_own

MODELS = ("central", "federated", *(f"hospital_{number}" for number in range(1, 6)))
ANSWER = {
    "models": {
        model: {"label": "NORMAL", "probabilities": {"NORMAL": 0.8765432101, "PNEUMONIA": 1 / 8.1}}
        for model in MODELS
    },
    "agreement": agreement(dict.fromkeys(MODELS, "NORMAL")),
    "warnings": [],
    "snapshot": "none",
}


def predict(image: bytes) -> dict[str, Any]:
    """An answer of the usual size, whatever was sent."""
    return ANSWER


def build() -> gr.Blocks:
    """The API's endpoint for a prediction, without a page."""
    with gr.Blocks(title="idle", analytics_enabled=False) as page:
        image = gr.File(type="binary", visible=False, label="image")
        result = gr.JSON(visible=False, label="result")
        called = gr.Button(visible=False)
        called.click(predict, image, result, api_name="predict", **launch.PANEL)
    return page.queue(**launch.QUEUE)


if __name__ == "__main__":
    with folder_of_its_own() as folder:
        build().launch(**launch.options(), app_kwargs=guard(Uploads(folder)))

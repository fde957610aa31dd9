"""The Compare tab: examples to click, a file to upload, and the answer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import gradio as gr

from fedmed.errors import ImageError
from fedmed.inference.loading import Opened
from fedmed.page.answer import LONGEST_SIDE, Answer, problem
from fedmed.page.examples import Example, strip
from fedmed.page.launch import PANEL
from fedmed.page.rendering import render
from fedmed.server.clients import sender
from fedmed.uploads.decode import decode_upload_to_show

CLICKED = """element.addEventListener('click', (event) => {
  const tile = event.target.closest('.fm-tile');
  if (tile) trigger('click', {example: Number(tile.dataset.example)});
});"""
ANSWERED = "fedmed.answered(element); watch('value', () => fedmed.answered(element));"


def build(opened: Opened, examples: Sequence[Example]) -> None:
    """Put the tab together, inside a `gr.Tab`. The first example is answered at once."""

    @cache
    def answer_example(number: int) -> str:
        example = examples[number]
        prediction = opened.predictor.predict_image(example.image)
        return Answer(example.image, prediction, opened.snapshot.config, example, number).html()

    def clicked(event: gr.EventData) -> str:
        try:
            number = event.example
        except (AttributeError, TypeError):  # a click without its data, by hand
            number = None
        if not isinstance(number, int) or not 0 <= number < len(examples):
            raise gr.Error("There is no such example.", print_exception=False)
        return answer_example(number)

    def uploaded(data: bytes, request: gr.Request) -> str:
        try:
            xray, picture = decode_upload_to_show(data, LONGEST_SIDE, sender(request))
        except ImageError as error:
            return problem(str(error))
        prediction = opened.predictor.predict(xray)
        return Answer(picture, prediction, opened.snapshot.config).html()

    with gr.Row(elem_classes="fm-strip"):
        upload = gr.UploadButton("Upload an X-ray", type="binary", elem_classes="fm-upload")
        tiles = gr.HTML(
            strip(examples, chosen=0), js_on_load=CLICKED, apply_default_css=False, min_width=0
        )
    answer = gr.HTML(
        answer_example(0) if examples else render("no_answer.html"),
        js_on_load=ANSWERED,
        apply_default_css=False,
        elem_classes="fm-result",
    )
    tiles.click(clicked, None, answer, api_visibility="private", **PANEL)
    upload.upload(uploaded, upload, answer, api_visibility="private", **PANEL)

"""The Compare tab: examples to click, a file to upload, and the answer."""

from __future__ import annotations

from functools import cache

import gradio as gr

from fedmed.errors import ImageError
from fedmed.page.answer import LONGEST_SIDE, Answer, problem
from fedmed.page.launch import PANEL
from fedmed.page.rendering import render
from fedmed.page.shown import Snapshots, told
from fedmed.server.clients import sender
from fedmed.uploads.decode import decode_upload_to_show

CLICKED = """element.addEventListener('click', (event) => {
  const tile = event.target.closest('.fm-tile');
  if (tile) trigger('click', {example: Number(tile.dataset.example)});
});"""
ANSWERED = "fedmed.answered(element); watch('value', () => fedmed.answered(element));"


def build(snapshots: Snapshots, chosen: gr.Radio | None) -> gr.HTML:
    """Put the tab together, inside a `gr.Tab`, and return the strip of examples.

    The first example is answered at once. `chosen` is the switch between snapshots, if any.
    """

    @cache
    def answer_example(snapshot: str, number: int) -> str:
        shown = snapshots.page(snapshot)
        example = shown.examples[number]
        prediction = snapshots.opened(snapshot).predictor.predict_image(example.image)
        return Answer(example.image, prediction, shown.config, example, number).html()

    def clicked(event: gr.EventData, snapshot: str = snapshots.first) -> str:
        try:
            number = event.example
        except (AttributeError, TypeError):  # a click without its data, by hand
            number = None
        with told():
            if not isinstance(number, int) or not 0 <= number < len(
                snapshots.page(snapshot).examples
            ):
                raise gr.Error("There is no such example.", print_exception=False)
            return answer_example(snapshot, number)

    def uploaded(data: bytes, request: gr.Request, snapshot: str = snapshots.first) -> str:
        try:
            xray, picture = decode_upload_to_show(data, LONGEST_SIDE, sender(request))
        except ImageError as error:
            return problem(str(error))
        with told():
            opened = snapshots.opened(snapshot)
        prediction = opened.predictor.predict(xray)
        return Answer(picture, prediction, opened.snapshot.config).html()

    first = snapshots.page()
    choice = [chosen] if chosen else []
    with gr.Row(elem_classes="fm-strip"):
        upload = gr.UploadButton("Upload an X-ray", type="binary", elem_classes="fm-upload")
        tiles = gr.HTML(first.strip, js_on_load=CLICKED, apply_default_css=False, min_width=0)
    answer = gr.HTML(
        answer_example(snapshots.first, 0) if first.examples else render("no_answer.html"),
        js_on_load=ANSWERED,
        apply_default_css=False,
        elem_classes="fm-result",
    )
    tiles.click(clicked, choice, answer, api_visibility="private", **PANEL)
    upload.upload(uploaded, [upload, *choice], answer, api_visibility="private", **PANEL)
    return tiles

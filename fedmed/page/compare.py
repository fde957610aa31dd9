"""The Compare tab: examples to click, a file to upload, and the answer."""

from __future__ import annotations

from functools import cache
from typing import Any

import gradio as gr

from fedmed.errors import ImageError
from fedmed.imaging.preprocessing import DecodedXray, to_pixels
from fedmed.page.answer import LONGEST_SIDE, Answer, problem
from fedmed.page.lab import models
from fedmed.page.launch import PANEL
from fedmed.page.rendering import render
from fedmed.page.shown import Snapshots, told
from fedmed.server.clients import sender
from fedmed.uploads.decode import decode_upload_to_show

BEGIN = "fedmed.begin(element, trigger, upload);"
DRAWN = "fedmed.drawn(element); fedmed.mounted();"
ANSWERED = "watch('value', () => fedmed.answered(props.value)); fedmed.mounted();"
# Every action is asked about at once, whatever is under way: asking.js keeps to the last.
ASKING: dict[str, Any] = {
    "api_visibility": "private",
    "trigger_mode": "multiple",
    "show_progress": "hidden",
    **PANEL,
}


def build(snapshots: Snapshots, chosen: gr.Radio | None) -> gr.HTML:
    """Put the tab together, inside a `gr.Tab`, and return the strip of examples.

    The first example is answered at once. `chosen` is the switch between snapshots, if any.
    """

    @cache
    def answer_example(snapshot: str, number: int) -> str:
        shown = snapshots.page(snapshot)
        example, prediction = shown.examples[number], shown.predictions[number]
        return Answer(
            example.image,
            prediction,
            shown.config,
            shown.report,
            shown.label,
            example,
            number,
            shown.machines,
        ).html()

    def clicked(event: gr.EventData, request: gr.Request, snapshot: str = snapshots.first) -> str:
        number = _field(event, "example")
        with told():
            if number is None or number >= len(snapshots.page(snapshot).examples):
                raise gr.Error("There is no such example.", print_exception=False)
            if _field(event, "lab"):
                example = snapshots.page(snapshot).examples[number]
                xray = DecodedXray(to_pixels(example.image), 0.0)
                return _reply(models.answer(request, xray, example.image, example, number), event)
            return _reply(answer_example(snapshot, number), event)

    def uploaded(
        data: bytes | None,
        event: gr.EventData,
        request: gr.Request,
        snapshot: str = snapshots.first,
    ) -> str:
        try:
            xray, picture = decode_upload_to_show(data or b"", LONGEST_SIDE, sender(request))
        except ImageError as error:
            return _reply(problem(str(error)), event)
        with told():
            if _field(event, "lab"):
                return _reply(models.answer(request, xray, picture), event)
            shown, opened = snapshots.page(snapshot), snapshots.opened(snapshot)
        prediction = opened.predictor.predict(xray)
        answer = Answer(
            picture,
            prediction,
            shown.config,
            shown.report,
            shown.label,
            machines=shown.machines,
        )
        return _reply(answer.html(), event)

    first = snapshots.page()
    choice = [chosen] if chosen else []
    strip = gr.HTML(first.strip, js_on_load=BEGIN, apply_default_css=False)
    gr.HTML(
        _reply(answer_example(snapshots.first, 0) if first.examples else render("no_answer.html")),
        js_on_load=DRAWN,
        apply_default_css=False,
        elem_classes="fm-result",
    )
    # Replies come here, and asking.js puts onto the page what was asked for last.
    replies = gr.HTML(None, html_template="", js_on_load=ANSWERED, visible="hidden")
    file = gr.File(type="binary", visible=False)
    # The file is the browser's, whatever the component holds; the switch stays what it is.
    with_file = "(_, ...rest) => [fedmed.file(), ...rest]"
    asked = (
        strip.click(clicked, choice, replies, **ASKING),
        strip.upload(uploaded, [file, *choice], replies, js=with_file, **ASKING),
    )
    for call in asked:
        call.then(None, js="() => fedmed.ended(false)", api_visibility="private")
        call.failure(None, js="() => fedmed.ended(true)", api_visibility="private")
    return strip


def _reply(answer: str, event: gr.EventData | None = None) -> str:
    """An answer with the number of the action that asked for it; 0 where none did."""
    return render("reply.html", answer=answer, ticket=(event and _field(event, "ticket")) or 0)


def _field(event: gr.EventData, name: str) -> int | None:
    """A count that came with an event, if it is one: anybody may send anything."""
    try:
        value = getattr(event, name)
    except (AttributeError, TypeError):  # an event without its data, by hand
        return None
    return value if isinstance(value, int) and 0 <= value < 2**53 else None

"""The page put together and launched: `python app.py`, and the entry of a Hugging Face Space."""

from __future__ import annotations

import os
import signal

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read while gradio is imported

import gradio as gr

import fedmed.page.zero_gpu  # noqa: F401  (before torch is imported)
from fedmed.page import about, api, compare, examples, header, launching, report, uploads
from fedmed.source import Opened, open_snapshot


def build(opened: Opened) -> gr.Blocks:
    """The whole page, for the snapshot that was opened."""
    snapshot = opened.snapshot
    found = examples.load(snapshot.folder / "examples", examples.REPOSITORY)
    with gr.Blocks(title=header.TITLE, analytics_enabled=False) as page:
        gr.HTML(header.html(opened), apply_default_css=False)
        with gr.Tabs():
            with gr.Tab("Compare"):
                compare.build(opened, found)
            with gr.Tab("Report"):
                gr.HTML(report.html(snapshot.report), apply_default_css=False)
            with gr.Tab("About"):
                gr.HTML(about.html(snapshot.config, snapshot.report), apply_default_css=False)
        gr.HTML(header.which(opened), apply_default_css=False)
        api.add(opened)
    return page.queue(max_size=launching.QUEUE_LENGTH, api_open=False)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: tidied up
    with uploads.folder_of_its_own():
        build(open_snapshot()).launch(**launching.options())

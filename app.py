"""The page put together and launched: `python app.py`, and the entry of a Hugging Face Space."""

from __future__ import annotations

import gc
import os
import signal
from contextlib import suppress

if __name__ == "__main__":
    gc.disable()  # imports make no garbage, and looking for it takes a fifth of their time

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read while gradio is imported
# Gradio makes statistics of all calls so far after every call, for a page that is off here.
os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "1")
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "1000000000")
# Read by torch's OpenMP: its threads wait asleep. Where Gradio wants the same core they would spin
# through three times the time that a pass takes.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import gradio as gr

import fedmed.page.zero_gpu  # noqa: F401  (before torch is imported)
from fedmed.inference.shelf import Shelf
from fedmed.page import api, compare, header, launch, switch
from fedmed.page.lab import federate
from fedmed.page.lab import tab as lab
from fedmed.page.shown import Snapshots, draw
from fedmed.server.guards import guard
from fedmed.uploads.storage import Uploads, folder_of_its_own


def build(snapshots: Snapshots) -> gr.Blocks:
    """The whole page, for the snapshots to choose from."""
    shown = snapshots.page()
    with gr.Blocks(title=header.TITLE, analytics_enabled=False) as page:
        head = gr.HTML(shown.header, apply_default_css=False)
        chosen = switch.build(snapshots)
        with gr.Tabs():
            with gr.Tab("Compare"):
                strip = compare.build(snapshots, chosen)
            with gr.Tab("Lab"):
                lab.build(snapshots, chosen)
            with gr.Tab("Report"):
                report = gr.HTML(shown.report_tab, apply_default_css=False)
            with gr.Tab("About"):
                story = gr.HTML(shown.about, apply_default_css=False)
        foot = gr.HTML(shown.footer, apply_default_css=False)
        parts = {"header": head, "strip": strip, "report_tab": report, "about": story}
        switch.connect(snapshots, chosen, parts | {"footer": foot})
        api.add(snapshots)
        federate.add(snapshots)
    return page.queue(**launch.QUEUE)


if __name__ == "__main__":
    for ending in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        if signal.getsignal(ending) is not signal.SIG_IGN:  # as nohup sets it
            signal.signal(ending, signal.default_int_handler)  # ends as Ctrl-C does: tidied up
    with suppress(KeyboardInterrupt), folder_of_its_own() as folder:
        page = build(Shelf(draw))
        gc.freeze()  # all of this stays: not looked through while visitors wait either
        gc.enable()
        page.launch(**launch.options(), app_kwargs=guard(Uploads(folder), preview=header.PREVIEW))

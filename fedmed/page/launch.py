"""How the page is served: its look, and limits on what visitors can make the server do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from fedmed.inference.predictor import MOST
from fedmed.server.sessions import SESSIONS

FOLDER = Path(__file__).parent
STYLES = ("style.css", "answer.css", "report.css", "lab/lab.css")
SCRIPTS = (
    "page.js",
    "asking.js",
    "beside.js",
    "address.js",
    "lab/stage.js",
    "lab/curve.js",
    "lab/picture.js",
    "lab/kept.js",
    "lab/stories.js",
    "lab/link.js",
    "lab/lab.js",
)

# Calls under way: enough that some are decoded while others share a pass of the backbone. Each may
# hold a file of 64 MB. The others wait in a queue that is told where it stands every few seconds.
PANEL: dict[str, Any] = {"concurrency_id": "predictor", "concurrency_limit": MOST}
QUEUE_LENGTH = 64
QUEUE: dict[str, Any] = {"max_size": QUEUE_LENGTH, "status_update_rate": 2, "api_open": False}


def theme() -> gr.themes.Base:
    """Gradio's plain theme in the page's colours; the system's fonts, so none is fetched."""
    return gr.themes.Base(
        primary_hue="emerald",
        neutral_hue="slate",
        font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif"],
        font_mono=["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"],
    ).set(
        body_background_fill="#f4f6f7",
        body_background_fill_dark="#0c1216",
        body_text_color="#101c24",
        body_text_color_dark="#e9eff3",
    )


def options() -> dict[str, Any]:
    """The arguments of `launch()`, but `app_kwargs`: those are the guards'.

    GRADIO_SERVER_NAME and GRADIO_SERVER_PORT are Gradio's own.
    """
    style = (FOLDER / "head.css").read_text(encoding="utf-8")
    script = "".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)
    return {
        "theme": theme(),
        "css_paths": [FOLDER / name for name in STYLES],
        "head": f"<style>{style}</style><script>{script}</script>",
        "footer_links": ["api"],
        "max_file_size": "64mb",
        "state_session_capacity": SESSIONS,
        "allowed_paths": [],
        "strict_cors": True,
        "run_history": False,
        "enable_monitoring": False,
        "share": False,
        "ssr_mode": False,
        "pwa": False,
    }

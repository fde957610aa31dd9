"""How the page is served: its look, and limits on what visitors can make the server do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from fedmed.inference.predictor import MOST
from fedmed.page import connections, memory
from fedmed.page.bodies import Bodies
from fedmed.page.connections import Connections
from fedmed.page.events import Events
from fedmed.page.fairness import Crowd, Share, trust_proxies
from fedmed.page.surface import Surface
from fedmed.page.sweeping import EVERY, Sweeping
from fedmed.page.visits import SESSIONS, Visits
from fedmed.uploads.storage import Uploads

FOLDER = Path(__file__).parent

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
    """The arguments of `launch()`. GRADIO_SERVER_NAME and GRADIO_SERVER_PORT are Gradio's own."""
    script = (FOLDER / "page.js").read_text(encoding="utf-8")
    return {
        "theme": theme(),
        "css_paths": [FOLDER / "style.css", FOLDER / "report.css"],
        "head": f"<script>{script}</script>",
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
        "app_kwargs": guarded(Uploads(), Visits()),
    }


def guarded(uploads: Uploads, visits: Visits, every: float = EVERY) -> dict[str, Any]:
    """Arguments of the FastAPI application: what stands between strangers and Gradio."""
    trust_proxies(os.environ)
    connections.allow_many()
    sweeps = (uploads.swept, visits.forget, Connections().close_idle, memory.trim)
    return {
        "lifespan": Sweeping(*sweeps, every=every).lifespan,
        "middleware": [
            Middleware(Surface),
            Middleware(Crowd),
            Middleware(Bodies, accept=uploads.accept),
            Middleware(Events),
            Middleware(Share, make_room=visits.make_room),
        ],
    }
